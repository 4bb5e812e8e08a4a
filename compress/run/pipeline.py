"""`compress run`: every stage of a recipe, one process each, resumable.

`run.json` remembers what every finished output was made by and from, as `compress.run.stages` tells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.artifact import file_fingerprint
from compress.config import to_mapping
from compress.data.config import Split, opposite
from compress.data.folders import fingerprint_split, is_single_folder, list_photos
from compress.distill.config import DistillConfig
from compress.distill.training_data.real_images import list_real_images
from compress.errors import UnusableModel, UsageError
from compress.model_card import CARD_NAME
from compress.run.recipe import Recipe
from compress.run.stages import Stage, run_stages
from compress.teachers.reading.config import AS_FOUND, ReadingConfig, flags_of, merge_readings

RECORD = "run.json"
FEATURES = "features"
CYCLEGAN = "cyclegan"
"""Folder of the teachers that a run trains itself; `teacher` is the export of the one that is distilled."""


def run_recipe(
    teacher: Path | None,
    data: Path,
    recipe: Recipe,
    out: Path,
    *,
    reading: ReadingConfig = AS_FOUND,
    until: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a recipe's stages in order, skipping those whose output is there and up to date.

    Args:
        teacher: A generator file; None to train one by the recipe's [teach].
        data: A folder with `trainA trainB testA testB`.
        recipe: The stages' configurations.
        out: The run's folder; made if missing, continued if not.
        reading: What the user says about the teacher's file.
        until: Output of the last stage that runs, such as `student_int8`; None for all of them.
        overwrite: Whether what was trained may be replaced, where the recipe, the teacher or the photos changed.

    Returns:
        JSON-ready: the seconds of every stage that ran, and where the report is; in its place what `until` names.

    Raises:
        StageFailed: With the exit code of the stage that failed.
        UsageError: If the recipe has no [distill], there is no teacher, `out` exists and is no run's folder, or no
            stage writes `until`.
        UnusableModel: If the teacher is missing.
        UnusableData: If a folder of photos is missing or empty.
    """
    config = check_inputs(teacher, data, recipe)
    run = _Run(config, teacher, data, recipe, out, merge_readings(recipe.reading, reading))
    seconds = run_stages(_up_to(until, run.stages()), out, record=RECORD, overwrite=overwrite)
    return {
        "seconds": seconds,
        **({"report": str(out / "report.html")} if until is None else {until: str(out / until)}),
    }


def _up_to(output: str | None, stages: Iterator[Stage]) -> list[Stage]:
    """Return the stages up to the one that writes an output; all for None."""
    taken: list[Stage] = []
    for stage in stages:
        taken.append(stage)
        if stage.output == output:
            return taken
    if output is None:
        return taken
    raise UsageError(f"until = {output!r}, expected one of {', '.join(stage.output for stage in taken)}.")


def exported_models(recipe: Recipe) -> tuple[str, ...]:
    """Return the outputs that are exported models: the teacher, then the student in float, then as it ships."""
    precision = recipe.export["precision"]
    return ("teacher", "student_fp32", *(() if precision == "fp32" else (f"student_{precision}",)))


def check_inputs(teacher: Path | None, data: Path, recipe: Recipe) -> DistillConfig:
    """Check what a run needs before its first stage; return the configuration of the distillation.

    Raises:
        UsageError: See `run_recipe`.
        UnusableModel: See `run_recipe`.
        UnusableData: See `run_recipe`.
    """
    distill, measure = recipe.require_distill(), recipe.measure
    if teacher is None:
        if recipe.teach is None:
            raise UsageError(f"{recipe.name} has no table [teach] to train a teacher by. Pass --teacher.")
        if distill.domain == "both":
            raise UsageError(
                f'{recipe.name} has [teach] and domain = "both" in [distill], but a trained teacher translates one '
                'domain. Set domain to "A" or "B", or pass --teacher.'
            )
        list_photos(data, "both", "train")
    elif not teacher.exists():
        raise UnusableModel(f"{teacher} does not exist; expected a CycleGAN generator: .h5, .keras, .pth, SavedModel.")
    list_photos(data, distill.domain, "train")
    list_real_images(data, distill.domain, distill)
    list_photos(data, measure.domain, "test")
    if measure.reference == "real" and (target := opposite(measure.domain)):
        if is_single_folder(data):
            raise UsageError(
                f'{recipe.name} has reference = "real" in [measure], but {data} is one folder without photos of the '
                "other domain. Pass --set measure.reference=teacher, or a data set with testB."
            )
        list_photos(data, target, "test")
    return distill


@dataclass(frozen=True)
class _Run:
    """The stages of one run, with the paths that they read and write."""

    distill: DistillConfig
    teacher_file: Path | None
    data: Path
    recipe: Recipe
    out: Path
    reading: ReadingConfig

    @property
    def teacher(self) -> Path:
        direction = "b2a" if self.distill.domain == "B" else "a2b"
        return self.teacher_file or self.out / CYCLEGAN / f"g_{direction}.h5"

    @property
    def models(self) -> tuple[str, ...]:
        return exported_models(self.recipe)

    @cached_property
    def _teacher_read(self) -> tuple[str, ...]:
        """Fingerprint of a teacher that no stage trains."""
        return () if self.teacher_file is None else (file_fingerprint(self.teacher_file),)

    @cached_property
    def _photos_read(self) -> Mapping[Split, str]:
        """Fingerprint of each half of the data set."""
        return {split: fingerprint_split(self.data, split) for split in ("train", "test")}

    def stages(self) -> Iterator[Stage]:
        """Yield all stages, in order."""
        students = list(self._student_stages())
        if self.teacher_file is None:
            config, read = _flags(to_mapping(self.recipe.teach)), (self._photos_read["train"],)
            yield Stage(CYCLEGAN, ("teach", "--data", str(self.data), *config), inputs=read, trains=True)
        yield from students
        yield from self._exports(self.out / students[-1].output)
        yield from self._images()
        yield from self._measurements()

    def _student_stages(self) -> Iterator[Stage]:
        """Distil a student, then do to it whatever the recipe has a table for."""
        inputs = ("--teacher", str(self.teacher), "--data", str(self.data))
        read = (*self._teacher_read, self._photos_read["train"])
        distill = ("distill", *inputs, *_flags(to_mapping(self.distill)), *self._reading_flags)
        yield Stage("student", distill, inputs=read, trains=True)
        last = "student"
        for output, command, config in (
            ("pruned", "prune", self.recipe.prune),
            ("quantized", "quantize", self.recipe.quantize),
        ):
            if config is not None:
                flags = (*_flags(to_mapping(config)), *self._reading_flags)
                line = (command, "--student", str(self.out / last), *inputs, *flags)
                yield Stage(output, line, inputs=read, trains=True)
                last = output

    def _exports(self, student: Path) -> Iterator[Stage]:
        export = ("export", "tflite")
        teacher, *students = self.models
        full = (*export, str(self.teacher), "--image-size-px", self._size, *self._reading_flags)
        yield Stage(teacher, full, inputs=self._teacher_read)
        for name in students[:-1]:
            yield Stage(name, (*export, str(student)))
        shipped = (*_flags(self.recipe.export), "--data", str(self.data))
        yield Stage(students[-1], (*export, str(student), *shipped), inputs=(self._photos_read["train"],))

    def _images(self) -> Iterator[Stage]:
        measure, photos = self.recipe.measure, ("data", "photos", str(self.data), "--image-size-px", self._size)
        read = (self._photos_read["test"],)
        yield Stage("images/inputs", (*photos, "--domain", measure.domain), inputs=read)
        if measure.reference == "real":
            yield Stage("images/real", (*photos, "--domain", str(opposite(measure.domain))), inputs=read)
        for model in self.models:
            yield Stage(f"images/{model}", ("translate", str(self.out / model), str(self.out / "images/inputs")))

    def _measurements(self) -> Iterator[Stage]:
        images, measure, out = self.out / "images", self.recipe.measure, self.out
        real = images / ("real" if measure.reference == "real" else "teacher")
        scored = ["inputs", *(model for model in self.models if images / model != real)]
        for model in scored:
            compared = ["--real", str(real), "--fake", str(images / model), "--teacher", str(images / "teacher")]
            if model != "inputs":
                compared += ["--control", str(images / "inputs")]
            # All are scored against one reference, whose features only the first one has to compute.
            cache = ("--cache", str(out / FEATURES))
            yield Stage(f"scores/{model}.json", ("eval", "score", *compared), cache_flags=cache)
        baseline, *candidates = self.models
        timed = ("--baseline", str(out / baseline), *(f"--candidate={out / model}" for model in candidates))
        effort = ("--threads", str(measure.threads), "--runs", str(measure.runs))
        yield Stage("bench.json", ("bench", "host", *timed, *effort))
        yield Stage("report.html", ("eval", "report", *self._report_flags(scored)))
        card = ("eval", "card", *self._card_flags(candidates[-1]))
        yield Stage(CARD_NAME, card, inputs=(*self._teacher_read, *self._photos_read.values()), is_written_on=True)

    def _card_flags(self, shipped: str) -> list[str]:
        students = [stage.output for stage in self._student_stages()]
        return [
            *("--model", str(self.out / shipped), "--teacher", str(self.teacher), "--data", str(self.data)),
            *(f"--student={self.out / name}" for name in students),
            *("--scores", str(self.out / "scores" / f"{shipped}.json"), "--bench", str(self.out / "bench.json")),
        ]

    def _report_flags(self, scored: list[str]) -> list[str]:
        images, out = self.out / "images", self.out
        baseline, *candidates = self.models
        trainings = {"student": "student"}
        if self.recipe.prune is not None and self.recipe.prune.steps:
            trainings["pruned"] = "pruned"
        if self.teacher_file is None:
            trainings["teacher"] = CYCLEGAN
        return [
            *("--title", f"{out.absolute().name}: {self.teacher.name} and its student"),
            *("--inputs", str(images / "inputs"), "--teacher", str(images / baseline)),
            *(f"--column={model}={images / model}" for model in candidates),
            *(f"--scores={model}={out / 'scores' / model}.json" for model in scored),
            *("--bench", str(out / "bench.json")),
            *(f"--manifest={model}={out / model}" for model in self.models),
            *(f"--training={name}={out / folder}" for name, folder in trainings.items()),
        ]

    @property
    def _size(self) -> str:
        return str(self.distill.image_size_px)

    @property
    def _reading_flags(self) -> tuple[str, ...]:
        return tuple(flags_of(self.reading))


def _flags(values: Mapping[str, Any]) -> list[str]:
    """Return the flags that give a configuration; a value of None is left out, a list repeats its flag."""
    flags = []
    for key, value in values.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, (list, tuple)):
            flags += [part for item in value for part in (f"--{name}", str(item))]
        elif value is not None:
            flags += [f"--{name}", str(value)]
    return flags
