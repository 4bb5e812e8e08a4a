"""`compress sweep` whose trials are `pretend_run`s, and which chooses nothing at its end."""

import functools
import sys

from compress import cli, console
from compress.fleet.sweep import engine, stage

engine.Order = functools.partial(engine.Order, program="pretend_run")
stage.close_sweep = lambda out: []
sys.exit(console.run(cli.app))
