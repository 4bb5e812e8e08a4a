"""`compress sweep` that chooses nothing at its end; its first argument names the module that runs a trial."""

import functools
import sys

from compress import cli, console
from compress.fleet.sweep import engine, stage

engine.Order = functools.partial(engine.Order, program=sys.argv.pop(1))
stage.close_sweep = lambda out: []
sys.exit(console.run(cli.app))
