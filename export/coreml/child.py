"""The process that loads coremltools: it writes a package and runs photos through it, or lists a package's contents.

coremltools imports TensorFlow and torch where it finds them. Both in one process end it ("LLVM ERROR: inconsistency in
registered CommandLine options"), and neither is needed to write a graph: here they are hidden before it is imported.
"""

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compress.console.installing import install_command
from compress.console.parent import die_with_parent
from compress.errors import PocketGANError, UnsupportedLayer, UnusableModel, UsageError
from compress.teachers.limits import READING_S, limit_reading, limit_time
from export.coreml.job import Contents, Job, JobResult

WRITING_S = 3600
"""Seconds of the clock, and of each processor, that writing a package and running photos through it may take: a 256x256
teacher with four photos takes less than a minute."""
_OUT_OF_TIME = (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL)
_FRAMEWORKS = ("tensorflow", "torch")
_ERRORS: tuple[type[PocketGANError], ...] = (UnsupportedLayer, UnusableModel)
"""Errors that cross from the process, by their exit codes."""


def check_coremltools() -> None:
    """Check that coremltools is installed, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise UsageError(
            f"Core ML packages need coremltools, on macOS or Linux on x86-64: {install_command('coreml')}."
        )


def run_job(job: Job, package: Path) -> JobResult:
    """Write a package in a process of its own and run photos through it.

    Args:
        job: The package to write and the photos.
        package: The `.mlpackage` to write, which does not exist yet.

    Raises:
        UnsupportedLayer: If an operation has no form in Core ML.
        UnusableModel: If it takes longer than `WRITING_S`.
        RuntimeError: If the process failed in another way; a bug, with its traceback.
    """
    return _run_child(job, package)


def list_contents(package: Path) -> Contents:
    """List the contents of a package, in a process of its own.

    Args:
        package: A `.mlpackage` with an ML program.

    Raises:
        UsageError: If coremltools is not installed.
        UnusableModel: If it is missing, torn or no ML program, or not read within the limits of
            `compress.teachers.limits`.
        RuntimeError: If the process failed in another way; a bug, with its traceback.
    """
    check_coremltools()
    return _run_child(None, package)


def _run_child(job: Job | None, package: Path) -> Any:
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        job_file, result_file = Path(scratch) / "job", Path(scratch) / "result"
        # We write and read these files ourselves, in a folder that nobody else may write to.
        job_file.write_bytes(pickle.dumps(job))
        # -P keeps modules that lie in the working directory from standing in for ours. The process limits its own time.
        arguments = [str(os.getpid()), str(job_file), str(package), str(result_file)]
        child = subprocess.run(
            [sys.executable, "-P", "-m", "export.coreml.child", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        _require_success(child, None if job else package)
        return pickle.loads(result_file.read_bytes())


def _require_success(child: subprocess.CompletedProcess[str], read: Path | None) -> None:
    """Turn how the process ended into an error; `read` is the stranger's package that it read, None where it wrote."""
    for error in _ERRORS:
        if child.returncode == error.exit_code:
            raise error(child.stderr.strip().splitlines()[-1])
    if child.returncode < 0 and read is not None:
        ended = f"its reader was not done after {READING_S} s or ended by {signal.Signals(-child.returncode).name}"
        raise UnusableModel(f"{read} could not be read: {ended}; the package is damaged.")
    if child.returncode in _OUT_OF_TIME:
        raise UnusableModel(
            f"no Core ML package was written within {WRITING_S} s of work; export for smaller pictures or fewer sizes."
        )
    if child.returncode != 0:
        raise RuntimeError(f"coremltools' process ended with {child.returncode}:\n{child.stderr.strip()}")


def _do_job(job: Job | None, package: Path) -> JobResult | Contents:
    for framework in _FRAMEWORKS:
        sys.modules.setdefault(framework, None)  # pyright: ignore[reportArgumentType] - None makes an import fail
    from export.coreml.contents import read_contents
    from export.coreml.mil_interpreter import MilGenerator
    from export.coreml.package import write_package
    from export.coreml.program import build_program

    if job is None:
        limit_reading(sum(member.stat().st_size for member in package.rglob("*") if member.is_file()))
        return read_contents(package)
    limit_time(WRITING_S, threads=os.cpu_count() or 1)
    program = build_program(
        job.graph, job.precision, in_float32=job.in_float32, quantized=job.quantized, others=job.others
    )
    shapes = [each[job.graph.input] for each in (job.graph.shapes, *job.others)]
    write_package(program, job.metadata, package, shapes=shapes)
    generators = {(height, width): MilGenerator.open(package, (height, width)) for height, width, _ in shapes}
    usual = generators[job.graph.input_shape[:2]]
    if set(usual.sizes) != set(generators):
        raise RuntimeError(f"the package takes pictures of {usual.sizes} pixels, but was written for {shapes}.")
    pictures = tuple(generators[photo.shape[0], photo.shape[1]].translate(photo) for photo in job.photos)
    return JobResult(pictures=pictures, operations=usual.operations)


def _main() -> int:
    die_with_parent(int(sys.argv[1]))
    job_file, package, result_file = map(Path, sys.argv[2:])
    try:
        result_file.write_bytes(pickle.dumps(_do_job(pickle.loads(job_file.read_bytes()), package)))
    except _ERRORS as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
