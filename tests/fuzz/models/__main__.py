"""Fuzz the readers of model files: `python tests/fuzz/models --mutants 1000`.

Every mutant must end in a finite picture as large as its photo, or in exit 3 or 4, within 20 s and 1 GB. Prints a table
of what became of them and exits with 1 where one did not.
"""

import argparse
from typing import cast

from harness import fuzz
from originals import FORMATS, Format


def main() -> int:
    """Read the command line, fuzz, print the table."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz/models", description="Fuzz the readers of models.")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    formats: list[Format] = [cast(Format, name) for name in given.formats]
    table = fuzz(formats, mutants=given.mutants, seconds=given.seconds, seed=given.seed)
    print(table)
    return 1 if table.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
