"""The command `compress`: flags in, one stage called, its result shown.

The packages above this one are named here alone, as strings: they are loaded when their command is called.
"""

from dataclasses import fields
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Dict

from compress import console
from compress.config import to_mapping
from compress.distill.config import DiscriminatorConfig, DistillConfig, LossConfig, TrainConfig
from compress.errors import UsageError
from compress.prune.config import PruneConfig
from compress.run.recipe import Kinds, Recipe, load_recipe
from compress.teach.config import TeachConfig
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

Flags = Parameter(name="*", negative_iterable=())
Switch = Annotated[bool, Parameter(negative="")]
"""Type of a flag without a --no- form."""

_COMMON = (
    "student", "teacher", "data", "pairs", "out", "recipe", "max_bytes", "max_macs", "method", "image_size_px",
    "image_width_px", "steps", "batch_size", "family", "width", "filters", "blocks", "domain", "importance",
    "channel_multiple", "ranges", "symmetric", "float_ops", "sensitivity", "calibration_images", "seed", "overwrite",
    "json",
)  # fmt: skip
HEADINGS = {
    "Parameters": _COMMON,
    "Network": (
        "kernel_size", "upsampler", "context", "image_skip", "from_teacher", "init", "normalization", "near_identity",
    ),
    "Training": (
        *(item.name for item in fields(TrainConfig) if item.name not in _COMMON),
        "load_scale", "quarter_size_steps", "half_size_steps", "decay_steps", "beta_1", "crop_px", "crop_until",
        "watch_kid", "patience", "stop_when_converged", "devices",
    ),
    "Losses": (
        *(item.name for item in fields(LossConfig)),
        "cycle_weight", "identity_weight", "paired_weight", "pixel_weight", "anneal_steps",
    ),
    "Teacher": tuple(item.name for item in fields(ReadingConfig)),
    "Discriminator": (*(item.name for item in fields(DiscriminatorConfig)), "pool_size"),
}  # fmt: skip
"""Headings in the help of the commands that train, and the flags under each; the common ones first."""
_ABOVE = {"quantize": "export.quantize.config:QuantizeConfig", "export": "export.config:TfliteConfig"}
"""Configuration classes of a recipe's tables whose stages belong to the packages above."""

app = console.new_app(
    "compress",
    "A trained 44 MB CycleGAN generator becomes a 250 kB student for phones, measured against the original.",
    version=lambda: metadata.version("pocketgan"),
)
app.command("compress.data.cli:app", name="data", help="Image folders to work on.")
app.command("export.cli:app", name="export", help="Write what arrives on the phone: .tflite.")
app.command(
    "export.cli:quantize",
    name="quantize",
    help="Make a student ready for int8, by training where that pays.",
    help_formatter=console.Headings(HEADINGS),
)
app.command(
    "export.inspect.cli:inspect",
    name="inspect",
    help="Show what a generator is, what it costs, and what will not run on a phone and why.",
)
app.command("export.cli:translate", name="translate", help="Run any artifact or model file over photos.")
app.command("export.lens.cli:app", name="lens", help="Translate the faces in photos, in their place.")
app.command("eval.cli:app", name="eval", help="Score folders of images and report.")
app.command("benchmarks.cli:app", name="bench", help="Time models where they run.")
app.command("compress.fleet.gang.cli:launch", name="launch", help="Train one net in several processes, over nodes.")


def main() -> None:
    """Run the program."""
    raise SystemExit(console.run(app))


def _load_recipe(name: str, settings: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe, checked."""
    return load_recipe(name, _classes_above(), settings)


def _classes_above() -> Kinds:
    """Import the configuration classes of tables whose stages belong to the packages above."""
    above: dict[Any, Any] = {}
    for table, place in _ABOVE.items():
        module, _, kind = place.partition(":")
        above[table] = getattr(import_module(module), kind)
    return above


class _RecipeBeneathFlags:
    """A cyclopts configuration that fills flags which were not given from a table of `--recipe`.

    Args:
        table: Name of the table.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self.given: set[str] = set()
        """Names of the flags of the command line that was read last."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: Any) -> None:
        self.given = {item.name.removeprefix("--").replace("-", "_") for item in arguments if item.tokens}
        chosen = next((item for item in arguments if item.name == "--recipe" and item.tokens), None)
        if chosen is None:
            return
        name = chosen.tokens[0].value
        recipe = _load_recipe(name)
        config = getattr(recipe, self._table)
        if config is None:
            raise UsageError(f"{name} has no table [{self._table}]. Add one, or leave --recipe out.")
        values = {key: value for key, value in to_mapping(config).items() if value is not None}
        if self._table == "distill":
            # A recipe's [teacher] says how the file is read that the student learns from.
            values |= {key: value for key, value in to_mapping(recipe.reading).items() if value}
        Dict(values, source=name, use_commands_as_keys=False)(app, commands, arguments)


_DISTILL_RECIPE = _RecipeBeneathFlags("distill")


@app.command(config=_RecipeBeneathFlags("teach"), help_formatter=console.Headings(HEADINGS))
def teach(
    *,
    data: Path,
    out: Path,
    recipe: str | None = None,
    config: Annotated[TeachConfig, Flags] | None = None,
    devices: int = 1,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Train a CycleGAN: both directions' generators, each an ordinary teacher.

    Args:
        data: A folder with trainA, trainB.
        out: The folder to write: g_a2b.h5, g_b2a.h5, and a record of their training.
        recipe: A recipe's name or .toml file; flags given beside it win.
        devices: GPUs, else processors, that share each batch.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.teach.stage import teach as run_stage
    from compress.training.replicas import opened

    with opened(devices):
        taught = run_stage(data, config or TeachConfig(), out, overwrite=overwrite)
    console.show(taught, as_json=json)


@app.command(config=_DISTILL_RECIPE, help_formatter=console.Headings(HEADINGS))
def distill(
    *,
    teacher: Path | None = None,
    data: Path | None = None,
    pairs: Path | None = None,
    out: Path,
    recipe: str | None = None,
    config: Annotated[DistillConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    devices: int = 1,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Train a small student to do what a teacher does.

    Args:
        teacher: A CycleGAN generator: .h5, .keras, .pth, SavedModel or artifact.
        data: A folder with trainA, trainB, or of photos.
        pairs: Instead of both: a folder with inputs and targets, of the same names.
        out: The student's artifact.
        recipe: A recipe's name or .toml file; flags given beside it win. Chosen by the teacher's images if not given.
        devices: GPUs, else processors, that share each batch.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.run.suited import distill_pairs_suited, distill_suited
    from compress.training.replicas import opened

    others = {"--teacher": teacher, "--data": data, "a flag on how a teacher is read": reading}
    if pairs is not None and (unused := [name for name, value in others.items() if value is not None]):
        raise UsageError(f"--pairs {pairs} is all that a student is made from; leave out {' and '.join(unused)}.")
    # A recipe says all of it: there is nothing left to choose.
    chosen, given = config or DistillConfig(), None if recipe else _DISTILL_RECIPE.given
    with opened(devices):
        if pairs is not None:
            student = distill_pairs_suited(chosen, given, pairs, out, overwrite=overwrite)
        elif teacher is None or data is None:
            raise UsageError("--teacher and --data are not both given. Pass them, or --pairs.")
        else:
            read_as = reading or AS_FOUND
            student = distill_suited(chosen, given, teacher, data, out, overwrite=overwrite, reading=read_as)
    console.show(_summary(student), as_json=json)


@app.command(help_formatter=console.Headings(HEADINGS))
def prune(
    *,
    student: Path,
    teacher: Path,
    data: Path,
    out: Path,
    config: Annotated[PruneConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Take a student's least important channels out until it fits a budget, then train the rest.

    Args:
        student: The student's artifact.
        teacher: The generator that it learnt from: .h5, .keras, .pth, SavedModel or artifact.
        data: A folder with trainA, trainB.
        out: The pruned student's artifact.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from compress.prune.stage import prune as run_stage

    chosen = config or PruneConfig()
    pruned = run_stage(student, teacher, data, chosen, out, overwrite=overwrite, reading=reading or AS_FOUND)
    predicted = {"predicted_int8_bytes": pruned.manifest.config["predicted_int8_bytes"]}
    console.show(_summary(pruned) | predicted, as_json=json)


@app.command(help_formatter=console.Headings(HEADINGS))
def run(
    recipe: str | None = None,
    *,
    teacher: Path | None = None,
    data: Path,
    out: Path,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative_iterable=())] = (),
    until: str | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Run every stage from a teacher to a phone's file and a report; a stopped run resumes.

    Args:
        recipe: A recipe's name (avatars, demo, faces, faithful, horse2zebra, texture, vintage) or .toml file; chosen
            by the teacher's file and images when not given.
        teacher: A CycleGAN generator: .h5, .keras, .pth, SavedModel or artifact; trained by [teach] when not given.
        data: A folder with trainA, trainB, testA, testB, or a folder of the photos to translate.
        out: The run's folder.
        settings: TABLE.KEY=VALUE of a recipe, such as distill.steps=4000; may be repeated. compress recipe lists them.
        until: Output to stop after, such as student or student_int8; the same command without it goes on.
        overwrite: Replace what was trained, where a key, the teacher or the photos changed; else that is refused.
        json: Print JSON.
    """
    from compress.run.pipeline import run_recipe

    said = reading or AS_FOUND
    if recipe is None:
        chosen = _suited_recipe(teacher, data, out, settings, said)
    else:
        chosen = _fitted_recipe(_load_recipe(recipe, settings), teacher, settings, said)
    result = run_recipe(teacher, data, chosen, out, reading=said, until=until, overwrite=overwrite)
    if until is not None:
        console.show(result, as_json=json)
        return
    _show_run(result, out, as_json=json)


def _suited_recipe(
    teacher: Path | None, data: Path, out: Path, settings: tuple[str, ...], reading: ReadingConfig
) -> Recipe:
    if teacher is None:
        raise UsageError(
            "neither --teacher nor a recipe is given. Pass the generator's file, or a recipe with [teach]."
        )
    from compress.run.own_teacher import suit_recipe

    return suit_recipe(teacher, data, out, _classes_above(), settings, reading)


def _fitted_recipe(recipe: Recipe, teacher: Path | None, settings: tuple[str, ...], reading: ReadingConfig) -> Recipe:
    if teacher is None:
        return recipe
    from compress.run.own_teacher import fit_to_teacher

    return fit_to_teacher(recipe, teacher, settings, reading)


@app.command
def sweep(
    file: Path,
    *,
    out: Path,
    workers: int | None = None,
    cluster: str | None = None,
    json: Switch = False,
) -> None:
    """Run a recipe many times with some of its keys varied, on this machine or a cluster; a stopped sweep goes on.

    Args:
        file: A sweep's .toml file: recipe, data, teacher, [search], [space], [budget], [halving], [resources].
        out: The sweep's folder; on a cluster one that all of its machines share.
        workers: Trials at once on this machine; as many as its cores allow when not given.
        cluster: HOST:PORT of a Ray cluster's head node to use instead.
        json: Print JSON.
    """
    from compress.fleet.closing import closing_lines
    from compress.fleet.config import FleetConfig
    from compress.fleet.sweep.stage import sweep as run_stage

    result = run_stage(file, out, FleetConfig(workers=workers, cluster=cluster), _classes_above())
    console.show(result, as_json=json, text=closing_lines(out))


@app.command(name="recipe")
def show_recipe(name: str) -> None:
    """Print a recipe as TOML with every key explained, to save and to change.

    Args:
        name: A recipe's name (avatars, demo, faces, faithful, horse2zebra, texture, vintage) or .toml file.
    """
    from compress.run.recipe_text import format_recipe

    console.show({}, as_json=False, text=format_recipe(_load_recipe(name), _classes_above()))


@app.command
def demo(*, out: Path = Path("runs/demo"), overwrite: Switch = False, json: Switch = False) -> None:
    """Run every stage with nothing to bring: avatars in; a phone's file, scores, latency and a report out.

    Args:
        out: The run's folder.
        overwrite: Replace a student that an earlier version trained.
        json: Print JSON.
    """
    from compress.run.demo.stage import RECIPE, run_demo

    _show_run(run_demo(_load_recipe(RECIPE), out, overwrite=overwrite), out, as_json=json)


@app.command
def cache(*, max_bytes: int | None = None, clear: Switch = False, json: Switch = False) -> None:
    """Show what is kept for the next command: the teacher's images and downloads; or make it less.

    Args:
        max_bytes: Delete the longest unused files until the others take no more.
        clear: Delete all of them.
        json: Print JSON.
    """
    if max_bytes is not None and (clear or max_bytes < 0):
        raise UsageError("--max-bytes takes a number of bytes from 0, and not beside --clear, which deletes all.")
    from compress.cache.usage import format_usage, tend_cache

    record = tend_cache(max_bytes=max_bytes, clear=clear)
    console.show(record, as_json=json, text=format_usage(record))


@app.command
def doctor(*, deep: Switch = False, network: Switch = False, json: Switch = False) -> None:
    """Show what this machine lets the tool do: Python, extras, disk, accelerators, caches, weights.

    Args:
        deep: Load TensorFlow and PyTorch, each in a process of its own, and ask them for accelerators.
        network: Ask the places that packages and weights come from whether they answer.
        json: Print JSON.
    """
    from compress.doctor.stage import examine, format_findings, to_record

    scoring = import_module("eval.features.weights").describe_weights()
    findings = examine(scoring, deep=deep, ask_network=network)
    console.show(to_record(findings), as_json=json, text=format_findings(findings))


def _show_run(result: dict[str, Any], out: Path, *, as_json: bool) -> None:
    from compress.run.summary import closing_lines, headline, summary_table

    text = f"{summary_table(out)}\n\n{closing_lines(out, result['report'])}"
    console.show(result, as_json=as_json, text=text, headline=headline(out))


def _summary(student: Any) -> dict[str, Any]:
    manifest = student.manifest
    return {
        "artifact": str(student.path),
        "params": manifest.cost.params,
        "macs": manifest.cost.macs,
        **manifest.scores,
    }
