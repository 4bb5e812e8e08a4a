"""`compress bench`: how fast, how large, how much of it delegated."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.android.config import AndroidConfig
from benchmarks.browser.config import BrowserConfig
from benchmarks.config import HostConfig, PeerMethod, TableConfig
from benchmarks.students.config import StudentsConfig
from compress import console
from compress.artifact import refuse_existing, refuse_replacing
from compress.errors import UsageError
from compress.teachers import LambdaLayers

app = console.new_app("bench", "Time models where they run.", default_parameter=Parameter(negative=()))


@app.command
def host(
    config: Annotated[HostConfig, Parameter(name="*")],
    *,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time .tflite models against a baseline on this machine, all in one interleaved run.

    Args:
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.host.stage import bench_host
    from benchmarks.host.table import format_table

    record = bench_host(config)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


@app.command
def table(
    config: Annotated[TableConfig, Parameter(name="*", negative_iterable=())] | None = None,
    *,
    out: Path = Path("runs/table"),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time teacher, students and published students in one run, and draw how they scale; nothing to bring.

    Takes about seven minutes on two free cores: the table, each size and the widths are a run each.

    Args:
        out: The folder to write: table.json, table.md, by_size.png and by_width.png.
        overwrite: Replace that folder if it exists.
        json: Print JSON.
    """
    chosen = config or TableConfig()
    refuse_existing(out, overwrite=overwrite)
    refuse_replacing(out, [*chosen.student, *([chosen.teacher] if chosen.teacher else [])])
    from benchmarks.published.untrained.stage import write_table
    from benchmarks.published.untrained.text import format_table

    record = write_table(chosen, out, overwrite=overwrite)
    console.show(record, as_json=json, text=f"{format_table(record)}\nwith plots over size and width: {out}")


@app.command
def peer(
    method: PeerMethod,
    *,
    like: Path,
    teacher: Path,
    data: Path,
    out: Path,
    lambda_layers: LambdaLayers | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Train a published method beside a student: same photos, as much time, its own shape and losses.

    Args:
        method: narrow: a narrow CycleGAN generator without a teacher. gan_compression, omgd: their students with their
            losses. omgd_losses: OMGD's losses on a student of the shape of --like.
        like: The artifact of the student, as compress distill wrote it on this machine.
        teacher: The generator that it learnt from.
        data: The folder that it was trained on.
        out: The peer's artifact.
        lambda_layers: What the teacher's Lambda layers do; they are never run.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from benchmarks.published.training import train_peer

    trained = train_peer(method, like, teacher, data, out, overwrite=overwrite, lambda_layers=lambda_layers)
    cost = trained.manifest.cost
    steps = trained.manifest.config["steps"]
    record = {"out": str(out), "method": method, "params": cost.params, "macs": cost.macs, "steps": steps}
    console.show(record, as_json=json)


@app.command
def students(
    *students: Path,
    config: Annotated[StudentsConfig, Parameter(name="*", negative_iterable=())],
    out: Path = Path("runs/students"),
    json: bool = False,
) -> None:
    """Hold trained students of one task against their teacher and published students: file, speed and images.

    Exports, translates the test photos, scores and times; goes on where it was stopped.

    Args:
        students: Artifacts that `compress distill`, `prune` or `quantize` wrote; each is called as its folder.
        out: The folder to write: students.json, students.md, samples.png, and all that they were made from.
        json: Print JSON.
    """
    from benchmarks.students.stage import bench_students
    from benchmarks.students.text import format_table

    record = bench_students(students, config, out)
    console.show(record, as_json=json, text=f"{format_table(record)}\nwith pictures: {out}")


@app.command
def browser(
    *models: Path,
    config: Annotated[BrowserConfig, Parameter(name="*")] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time .tflite models in a browser, with LiteRT.js in WebAssembly and, where there is one, on WebGPU.

    Args:
        models: .tflite files or artifacts of one, with float or uint8 ends; ratios are over the first.
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    chosen = config or BrowserConfig()
    if not models:
        raise UsageError("no model to time; name at least one .tflite file or artifact of one.")
    if chosen.serve and out is not None:
        raise UsageError(
            "--serve has no end at which to write --out. Leave one out; each page offers its numbers as JSON."
        )
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.browser import stage
    from benchmarks.browser.table import format_table

    if chosen.serve:
        # Ctrl-C is how this is meant to end.
        with suppress(KeyboardInterrupt):
            for record in stage.serve(models, chosen):
                console.show(record, as_json=json, text=format_table(record))
        return
    record = stage.bench_browser(models, chosen)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


@app.command
def ios(
    *results: Path,
    baseline: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Experimental: no device has run it yet. Show what an iPhone or a Mac measured of Core ML packages, on every
    compute unit.

    Args:
        results: JSON files that the Swift package of `compress export coreml --swift` wrote.
        baseline: The one of another model to compare them with, measured on the same device.
        out: JSON file to write the comparison to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if not results:
        raise UsageError("no RESULT.json was given. Pass the file that the Swift package wrote on the phone.")
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
        refuse_replacing(out, [*results, *([baseline] if baseline else [])])
    from benchmarks.ios.stage import bench_ios, format_table

    record = bench_ios(results, baseline=baseline)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


@app.command
def check(measurements: Path, *, baseline: Path, max_size_ratio: float | None = None, json: bool = False) -> None:
    """Fail, with exit code 1, where a model got slower against its baseline than the noise of both runs explains.

    With exit code 3 where that cannot be told: the machine was too busy, or is another one.

    Args:
        measurements: What `bench host --out` or `python -m benchmarks.toolkit --out` wrote, or the table.json of
            `bench table --out`.
        baseline: What `bench accept` wrote of an earlier one, on the same kind of machine.
        max_size_ratio: Largest size as a multiple of the accepted one, such as 1.02; not checked when not given.
        json: Print JSON.
    """
    from benchmarks.timing import baseline as files
    from benchmarks.timing import check as gate

    measured, accepted = files.read_benchmark(measurements), files.read_baseline(baseline)
    checks = gate.check_speeds(measured, accepted, max_size_ratio=max_size_ratio)
    unclear = gate.undecided(measured, accepted)
    console.show(gate.check_outcome(checks, unclear), as_json=json, text=gate.format_checks(checks, unclear))
    gate.raise_unless_passed(checks, unclear)


@app.command
def accept(
    measurements: Path, *, out: Path, only: tuple[str, ...] = (), overwrite: bool = False, json: bool = False
) -> None:
    """Make measured speed-ups the baseline: write the small file that later ones are checked against.

    Args:
        measurements: What `bench host --out` or `python -m benchmarks.toolkit --out` wrote, or the table.json of
            `bench table --out`.
        out: Baseline file to write, such as benchmarks/baselines/NAME.json.
        only: Name of a model or command to hold; may be repeated. All when not given, and then none may be too noisy.
        overwrite: Replace that file if it exists, and say what changes.
        json: Print what was written as JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from benchmarks.timing import baseline as files
    from benchmarks.timing import check as gate

    measured = files.read_benchmark(measurements)
    if only:
        measured = files.narrowed(measured, only)
    files.require_quotable(measured, measurements)
    changed = gate.changes(files.read_baseline(out), measured) if out.exists() else None
    files.write_baseline(measured, out, overwrite=overwrite)
    console.show({"baseline": str(out), "models": list(measured.models), "changes": changed}, as_json=json)


@app.command
def android(
    *models: Path,
    config: Annotated[AndroidConfig, Parameter(name="*")] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Experimental: no device has run it yet. Time .tflite models on a phone over adb, on its CPU, GPU and NNAPI.

    Written from the sources of adb and of TFLite's benchmark_model, and tested against a stand-in that answers as those
    say. Nothing is downloaded, and nothing that is pushed stays on the phone.

    Args:
        models: .tflite files or artifacts of one; the others' speed-ups are over the first.
        out: JSON file to write the measurements to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.android.run import bench_android
    from benchmarks.android.table import format_table as android_table

    record = bench_android(models, config or AndroidConfig())
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=android_table(record))


def main() -> None:
    """Run `python -m benchmarks`."""
    raise SystemExit(console.run(app))
