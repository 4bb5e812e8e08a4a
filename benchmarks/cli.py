"""`compress bench`: latency, size and delegation of models where they run."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from benchmarks.android.config import AndroidConfig
from benchmarks.browser.config import BrowserConfig
from benchmarks.host.config import HostConfig
from benchmarks.published.config import PeerMethod, PublishedConfig
from benchmarks.published.untrained.config import ShapesConfig, plan_rounds
from benchmarks.students.config import StudentsConfig
from compress import console
from compress.errors import UsageError
from compress.files.apart import require_apart
from compress.files.atomic import refuse_existing
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

Flags = Parameter(name="*", negative_iterable=())
_WITH_STUDENTS, _WITH_SHAPES = Group.create_ordered("With students"), Group.create_ordered("With --shapes")

app = console.new_app("bench", "Time models where they run.", default_parameter=Parameter(negative=()))


@app.command
def host(
    config: Annotated[HostConfig, Flags],
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
def published(
    *students: Path,
    out: Path,
    config: Annotated[PublishedConfig, Flags] | None = None,
    task: Annotated[StudentsConfig, Parameter(name="*", negative_iterable=(), group=_WITH_STUDENTS)] | None = None,
    shapes: Annotated[bool, Parameter(group=_WITH_SHAPES)] = False,
    sweeps: Annotated[ShapesConfig, Parameter(name="*", negative_iterable=(), group=_WITH_SHAPES)] | None = None,
    overwrite: Annotated[bool, Parameter(group=_WITH_SHAPES)] = False,
    json: bool = False,
) -> None:
    """Compare students with their teacher and published students: file, speed and images in one table.

    Trains the peers that are named by method, then exports, translates test
    photos, scores and times; stopped, it resumes. With --shapes, nets with random
    weights are timed over sizes and widths instead, with nothing to bring: about
    seven minutes on two free cores.

    Methods of --peer: narrow, a narrow CycleGAN generator without a teacher;
    gan_compression and omgd, their students with their losses; omgd_losses, OMGD's
    losses on the first student's shape, which compress distill must have written.

    Args:
        students: Artifacts of compress distill, prune or quantize; with --shapes, .tflite files or artifacts of one.
        out: Folder for table.json, table.md and samples.png; with --shapes, by_size.png and by_width.png instead.
        shapes: Time the teacher, our students and published students with random weights, and draw how they scale.
        overwrite: Replace that folder if it exists.
        json: Print JSON.
    """
    chosen = config or PublishedConfig()
    if shapes:
        _compare_shapes(students, chosen, task, sweeps or ShapesConfig(), out, overwrite=overwrite, as_json=json)
        return
    if sweeps is not None or overwrite:
        raise UsageError("--sweep-size-px, --sweep-width, --warmup and --overwrite belong to --shapes. Pass that, too.")
    if not students:
        raise UsageError(
            "no student was given. Name at least one artifact that `compress distill` wrote, or pass --shapes, which "
            "needs none."
        )
    if task is None:
        raise UsageError("--data is missing; expected the CycleGAN folder of the students' task.")
    from benchmarks.students.stage import bench_students
    from benchmarks.students.table import format_table

    record = bench_students(students, chosen, task, out)
    text = f"{format_table(record)}\nwith pictures: {out}"
    console.keep_and_show(record, out=None, overwrite=False, as_json=json, text=text)


def _compare_shapes(
    students: Sequence[Path],
    config: PublishedConfig,
    task: StudentsConfig | None,
    shapes: ShapesConfig,
    out: Path,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    if task is not None:
        raise UsageError(
            "--data and --peer belong to the comparison of students. Leave them out, or leave --shapes out."
        )
    plan_rounds(config, shapes)
    require_apart([out], [*students, *([config.teacher] if config.teacher else [])])
    refuse_existing(out, overwrite=overwrite)
    from benchmarks.published.untrained.stage import write_shapes
    from benchmarks.published.untrained.table import format_table

    record = write_shapes(students, config, shapes, out, overwrite=overwrite)
    text = f"{format_table(record)}\nwith plots over size and width: {out}"
    console.keep_and_show(record, out=None, overwrite=False, as_json=as_json, text=text)


@app.command(name="train-peer", show=False)
def train_peer(
    method: PeerMethod,
    *,
    like: Path,
    teacher: Path,
    data: Path,
    out: Path,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Train a published method beside a student: same photos, as much time, its own shape and losses.

    A stage of `compress bench published`, hidden from the list of commands.

    Args:
        method: The method, see compress bench published --help.
        like: The artifact of the student, as compress distill wrote it on this machine.
        teacher: The generator that it learnt from.
        data: The folder that it was trained on.
        out: The peer's artifact.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from benchmarks.published import training

    trained = training.train_peer(method, like, teacher, data, out, overwrite=overwrite, reading=reading or AS_FOUND)
    cost = trained.manifest.cost
    steps = trained.manifest.config["steps"]
    record = {"out": str(out), "method": method, "params": cost.params, "macs": cost.macs, "steps": steps}
    console.show(record, as_json=json)


@app.command
def browser(
    *models: Path,
    config: Annotated[BrowserConfig, Flags] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Time .tflite models in a browser, with LiteRT.js in WebAssembly and, where there is one, on WebGPU.

    Args:
        models: .tflite files or artifacts of one, with float or uint8 input and output; ratios are over the first.
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
    """Experimental: no device has run it yet. Compare Core ML packages by the measurements of an iPhone or a Mac.

    Args:
        results: JSON files that the Swift package of `compress export coreml --swift` wrote, of every compute unit.
        baseline: Such a file of another model to compare them with, measured on the same device.
        out: JSON file to write the comparison to.
        overwrite: Replace that file if it exists.
        json: Print JSON.
    """
    if not results:
        raise UsageError("no RESULT.json was given. Pass the file that the Swift package wrote on the phone.")
    if out is not None:
        require_apart([out], [*results, *([baseline] if baseline else [])])
        refuse_existing(out, overwrite=overwrite)
    from benchmarks.ios.stage import bench_ios
    from benchmarks.ios.table import format_table

    record = bench_ios(results, baseline=baseline)
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


@app.command
def check(measurements: Path, *, baseline: Path, max_size_ratio: float | None = None, json: bool = False) -> None:
    """Fail, with exit code 1, where a model got slower against its baseline than the noise of both runs explains.

    With exit code 3 where that is inconclusive: the machine was too busy, or is another one.

    Args:
        measurements: A record of `bench host --out` or `python -m benchmarks.toolkit --out`, or the table.json of
            `bench published`.
        baseline: The file of `bench accept` for an earlier one, on the same kind of machine.
        max_size_ratio: Largest size as a multiple of the accepted one, such as 1.02; not checked when not given.
        json: Print JSON.
    """
    from benchmarks.timing import check as speeds
    from benchmarks.timing.baseline import read_benchmark, read_speed_baseline

    measured, accepted = read_benchmark(measurements), read_speed_baseline(baseline)
    checks = speeds.check_speeds(measured, accepted, max_size_ratio=max_size_ratio)
    inconclusive = speeds.find_inconclusive(measured, accepted)
    outcome = speeds.summarize_checks(checks, inconclusive)
    console.show(outcome, as_json=json, text=speeds.format_checks(checks, inconclusive))
    speeds.raise_unless_passed(checks, inconclusive)


@app.command
def accept(
    measurements: Path, *, out: Path, only: tuple[str, ...] = (), overwrite: bool = False, json: bool = False
) -> None:
    """Make measured speed-ups the baseline: write the small file that later ones are checked against.

    Args:
        measurements: A record of `bench host --out` or `python -m benchmarks.toolkit --out`, or the table.json of
            `bench published`.
        out: Baseline file to write, such as benchmarks/baselines/NAME.json.
        only: Name of a model or command to hold; may be repeated. All when not given, and then none may be too noisy.
        overwrite: Replace that file if it exists, and show the changes.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    from benchmarks.timing import baseline as files
    from benchmarks.timing.check import compare_baselines

    measured = files.read_benchmark(measurements)
    if only:
        measured = files.select_models(measured, only)
    files.require_quotable(measured, measurements)
    changed = compare_baselines(files.read_speed_baseline(out), measured) if out.exists() else None
    files.write_speed_baseline(measured, out, overwrite=overwrite)
    console.show({"baseline": str(out), "models": list(measured.models), "changes": changed}, as_json=json)


@app.command
def android(
    *models: Path,
    config: Annotated[AndroidConfig, Flags] | None = None,
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
    from benchmarks.android.stage import bench_android
    from benchmarks.android.table import format_table

    record = bench_android(models, config or AndroidConfig())
    console.keep_and_show(record, out=out, overwrite=overwrite, as_json=json, text=format_table(record))


def main() -> None:
    """Run `python -m benchmarks`."""
    raise SystemExit(console.run(app))
