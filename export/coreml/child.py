"""The process that loads coremltools: it writes a package, then reads it back from disk and runs photos through it.

coremltools imports TensorFlow and torch where it finds them. Both in one process end it ("LLVM ERROR: inconsistency in
registered CommandLine options"), and neither is needed to write a graph: here they are hidden before it is imported.
"""

import importlib.util
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from compress.errors import UnsupportedLayer, UsageError
from export.coreml.job import Job, Written

TIME_LIMIT_S = 3600
"""After which the child is taken to hang: a 256x256 teacher with four photos takes less than a minute of computing."""
_FRAMEWORKS = ("tensorflow", "torch")


def check_available() -> None:
    """Find out whether coremltools is there, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise UsageError(
            "writing Core ML packages needs coremltools: pip install 'pocketgan[coreml]' (uv sync --extra coreml), on "
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
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        asked, answered = Path(scratch) / "job", Path(scratch) / "written"
        # Both ends of this are our own, in a folder that nobody else may write to.
        asked.write_bytes(pickle.dumps(job))
        # -P keeps modules that lie in the working directory from standing in for ours.
        command = [sys.executable, "-P", "-m", "export.coreml.child", str(asked), str(package), str(answered)]
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT_S, check=False
        )
        if child.returncode == UnsupportedLayer.exit_code:
            raise UnsupportedLayer(child.stderr.strip().splitlines()[-1])
        if child.returncode != 0:
            raise RuntimeError(f"writing the Core ML package ended with {child.returncode}:\n{child.stderr.strip()}")
        return pickle.loads(answered.read_bytes())


def _work(job: Job, package: Path) -> Written:
    for framework in _FRAMEWORKS:
        sys.modules.setdefault(framework, None)  # pyright: ignore[reportArgumentType] - None makes an import fail
    from export.coreml import package as packages
    from export.coreml import program
    from export.mil_reference import MilGenerator

    written = program.build(job.graph, job.precision, in_float32=job.in_float32, quantized=job.quantized)
    packages.write(written, job.metadata, package)
    generator = MilGenerator.open(package)
    pictures = tuple(generator.translate(photo) for photo in job.photos)
    return Written(pictures=pictures, operations=generator.operations)


def _main() -> int:
    asked, package, answered = map(Path, sys.argv[1:])
    try:
        answered.write_bytes(pickle.dumps(_work(pickle.loads(asked.read_bytes()), package)))
    except UnsupportedLayer as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return UnsupportedLayer.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
