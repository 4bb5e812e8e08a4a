"""The child process of `sandbox`: one foreign file in, one description out. Loads no framework it does not need."""

import sys
from pathlib import Path

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription


def describe(path: Path) -> GeneratorDescription:
    """Find the reader for a file and let it describe the generator.

    Raises:
        UnusableModel: If no reader knows the file.
    """
    if path.suffix in (".pth", ".pt"):
        from compress.teachers import pytorch

        return pytorch.describe(path)
    raise UnusableModel("no reader knows this kind of file; expected .h5, .keras, .pth or a SavedModel directory.")


def main() -> int:
    path, result = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        describe(path).save(result)
    except UnusableModel as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
