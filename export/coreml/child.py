"""The process that loads coremltools: it writes a package, reads it back from disk and runs photos through it; or it
lists what a package consists of.

coremltools imports TensorFlow and torch where it finds them. Both in one process end it ("LLVM ERROR: inconsistency in
registered CommandLine options"), and neither is needed to write a graph: here they are hidden before it is imported.
"""

import importlib.util
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compress.errors import PocketGANError, UnsupportedLayer, UnusableModel, UsageError
from export.coreml.job import Contents, Job, Written

TIME_LIMIT_S = 3600
"""After which the child is taken to hang: a 256x256 teacher with four photos takes less than a minute of computing."""
_FRAMEWORKS = ("tensorflow", "torch")
_ERRORS: tuple[type[PocketGANError], ...] = (UnsupportedLayer, UnusableModel)
"""Those that cross from the process, by their exit codes."""


def check_available() -> None:
    """Find out whether coremltools is there, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise UsageError(
            "Core ML packages need coremltools: pip install 'pocketgan[coreml]' (uv sync --extra coreml), on "
            "macOS or Linux on x86-64."
        )


def run(job: Job, package: Path) -> Written:
    """Do a job in a process of its own.

    Args:
        job: What to write and to try.
        package: The `.mlpackage` to write, which does not exist yet.

    Raises:
        UnsupportedLayer: If an operation has no form in Core ML.
        RuntimeError: If the process failed in another way; a bug, with its traceback.
    """
    return _ask(job, package)


def list_contents(package: Path) -> Contents:
    """Read what a package consists of, in a process of its own.

    Args:
        package: A `.mlpackage` with an ML program.

    Raises:
        UsageError: If coremltools is not installed.
        UnusableModel: If it is missing, torn or no ML program.
        RuntimeError: If the process failed in another way; a bug, with its traceback.
    """
    check_available()
    return _ask(None, package)


def _ask(job: Job | None, package: Path) -> Any:
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        asked, answered = Path(scratch) / "job", Path(scratch) / "answer"
        # Both ends of this are our own, in a folder that nobody else may write to.
        asked.write_bytes(pickle.dumps(job))
        # -P keeps modules that lie in the working directory from standing in for ours.
        command = [sys.executable, "-P", "-m", "export.coreml.child", str(asked), str(package), str(answered)]
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT_S, check=False
        )
        for error in _ERRORS:
            if child.returncode == error.exit_code:
                raise error(child.stderr.strip().splitlines()[-1])
        if child.returncode != 0:
            raise RuntimeError(f"coremltools' process ended with {child.returncode}:\n{child.stderr.strip()}")
        return pickle.loads(answered.read_bytes())


def _work(job: Job | None, package: Path) -> Written | Contents:
    for framework in _FRAMEWORKS:
        sys.modules.setdefault(framework, None)  # pyright: ignore[reportArgumentType] - None makes an import fail
    from export.coreml import contents, program
    from export.coreml import package as packages
    from export.coreml.mil_interpreter import MilGenerator

    if job is None:
        return contents.read(package)
    written = program.build(
        job.graph, job.precision, in_float32=job.in_float32, quantized=job.quantized, others=job.others
    )
    shapes = [each[job.graph.input] for each in (job.graph.shapes, *job.others)]
    packages.write(written, job.metadata, package, shapes=shapes)
    generators = {(height, width): MilGenerator.open(package, (height, width)) for height, width, _ in shapes}
    usual = generators[job.graph.input_shape[:2]]
    if set(usual.sizes) != set(generators):
        raise RuntimeError(f"the package takes pictures of {usual.sizes} pixels, but was written for {shapes}.")
    pictures = tuple(generators[photo.shape[0], photo.shape[1]].translate(photo) for photo in job.photos)
    return Written(pictures=pictures, operations=usual.operations)


def _main() -> int:
    asked, package, answered = map(Path, sys.argv[1:])
    try:
        answered.write_bytes(pickle.dumps(_work(pickle.loads(asked.read_bytes()), package)))
    except _ERRORS as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
