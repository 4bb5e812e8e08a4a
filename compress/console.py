"""What every command does the same way: results to stdout, all else to stderr, an exit code that means something.

Each `cli.py` builds a cyclopts App and hands it to `run`; a command ends with `show`.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compress.errors import PocketGANError, UsageError

INTERRUPTED = 130


def run(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run a cyclopts App and turn what happens into an exit code of `compress.errors`.

    Args:
        app: Built with `exit_on_error=False, print_error=False`, so that a wrong flag arrives here.
        arguments: The command line without the program's name; `sys.argv` when None.

    Returns:
        0, a `PocketGANError`'s code, or 130 after Ctrl-C. A bug keeps its traceback.
    """
    from cyclopts import CycloptsError

    _log_to_stderr()
    try:
        app(arguments, result_action="return_value")
    except CycloptsError as error:
        return _fail(UsageError(f"{error} Run with --help for what is possible."))
    except PocketGANError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("stopped; nothing half written is left, and training goes on from its checkpoint.", file=sys.stderr)
        return INTERRUPTED
    return 0


def show(result: Mapping[str, Any], *, as_json: bool, text: str | None = None) -> None:
    """Print a command's result on stdout.

    Args:
        result: JSON-ready.
        as_json: Whether to print JSON, for programs, or text, for people.
        text: What people read; one `key: value` line per entry of `result` when None.
    """
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print(text if text is not None else "\n".join(f"{key}: {value}" for key, value in result.items()))


def _fail(error: PocketGANError) -> int:
    program = os.path.basename(sys.argv[0])
    name = program if not program.startswith("__main__") else "compress"
    indent = " " * (len(name) + 2)
    print(f"{name}: {str(error).replace(chr(10), chr(10) + indent)}", file=sys.stderr)
    return error.exit_code


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # TensorFlow's C++ side reports every missing GPU library as an error; a user can set the level back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for chatty in ("absl", "tensorflow", "h5py", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
