"""The process that loads tf_keras: TensorFlow uses tf_keras only where a variable says so from the start."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.quantizers.tfmot.job import Trained, TrainingJob
from compress.console.library_lines import library_lines_kept


def run_training_job(job: TrainingJob) -> Trained:
    """Run a job in a process of its own, whose progress goes to stderr.

    Raises:
        RuntimeError: If it failed; a bug, whose traceback is on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        asked, answered = Path(scratch) / "job", Path(scratch) / "answer"
        # Both ends of this are our own, in a folder that nobody else may write to.
        asked.write_bytes(pickle.dumps(job))
        # -P keeps modules that lie in the working directory from standing in for ours.
        command = [sys.executable, "-P", "-m", "benchmarks.quantizers.tfmot.child", str(asked), str(answered)]
        settings = {"TF_USE_LEGACY_KERAS": "1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        child = subprocess.run(command, stdout=sys.stderr, stderr=sys.stderr, env=os.environ | settings, check=False)
        if child.returncode != 0:
            raise RuntimeError(f"TFMOT's process ended with {child.returncode}; what it said is above.")
        return pickle.loads(answered.read_bytes())


def _main() -> None:
    from benchmarks.quantizers.tfmot.training import train_copy

    asked, answered = map(Path, sys.argv[1:])
    with library_lines_kept(is_verbose=False):
        trained = train_copy(pickle.loads(asked.read_bytes()))
    answered.write_bytes(pickle.dumps(trained))


if __name__ == "__main__":
    _main()
