"""The process of `pocketgan.scoring`: `python -m pocketgan.child MODULE FUNCTION RESULT`, a pickled argument on stdin.

Both ends are this package, so pickle reads nothing of strangers. RESULT gets the pair of error and value, one of which
is None.
"""

import pickle
import sys
from importlib import import_module
from pathlib import Path

from compress.errors import PocketGANError


def main() -> None:
    """Call the function and write down what it returned or raised; anything unexpected shows its traceback."""
    module, function, result = sys.argv[1:]
    argument = pickle.load(sys.stdin.buffer)
    try:
        ended = None, getattr(import_module(module), function)(argument)
    except PocketGANError as error:
        ended = error, None
    Path(result).write_bytes(pickle.dumps(ended))


if __name__ == "__main__":
    main()
