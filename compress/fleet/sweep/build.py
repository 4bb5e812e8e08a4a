"""Trials made of settings: each a whole recipe, known by what it and its inputs hold."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.artifact import file_fingerprint
from compress.data.folders import fingerprint_split
from compress.errors import UsageError
from compress.fleet.sweep.space import Settings
from compress.fleet.sweep.spec import SweepSpec
from compress.fleet.trial import Inputs, Trial
from compress.run.own_teacher import fit_to_teacher
from compress.run.pipeline import check_inputs
from compress.run.recipe import Kinds, Recipe, check_recipe, read_recipe
from compress.run.recipe_text import to_tables, to_toml

_KEY_DIGITS = 12
_MAYBE_PATHS = ("init", "perceptual_network")
"""Keys of a recipe that take the name of something, or the path of a file of one's own."""


@dataclass(frozen=True)
class Proposal:
    """A trial that was proposed, and why it cannot be run where it cannot."""

    trial: Trial
    recipe: Recipe | None
    """None where the settings do not go together."""
    wrong: str | None

    def need_recipe(self) -> Recipe:
        """Return the recipe of a trial that can be run."""
        if self.recipe is None:
            raise ValueError(f"trial {self.trial.number} cannot be run: {self.wrong}")
        return self.recipe


class Builder:
    """Makes trials of one sweep's settings.

    Args:
        spec: The sweep.
        above: Configuration classes of a recipe's [quantize] and [export].

    Raises:
        UsageError: If the recipe, or a setting of it that is not varied, is wrong.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If photos are missing.
    """

    def __init__(self, spec: SweepSpec, above: Kinds) -> None:
        self._spec, self._above = spec, above
        self._tables = self._base_tables()

    @property
    def inputs(self) -> Inputs:
        """What all trials read."""
        teacher = self._spec.teacher
        return Inputs(str(self._spec.data.resolve()), None if teacher is None else str(teacher.resolve()))

    @property
    def base(self) -> str:
        """The sweep's own recipe as TOML, with every key."""
        return to_toml(to_tables(check_recipe(self._spec.recipe, self._tables, self._above)))

    def build(self, number: int, settings: Settings) -> Proposal:
        """Make the trial of some settings.

        Args:
            number: Its place among those proposed.
            settings: `TABLE.KEY` to a value.
        """
        tables = {table: dict(values) for table, values in self._tables.items()}
        for key, value in settings.items():
            table, _, name = key.partition(".")
            tables.setdefault(table, {})[name] = value
        recipe, wrong = None, None
        try:
            recipe = self._check(tables)
            tables = _with_absolute_paths(to_tables(recipe))
        except UsageError as error:
            wrong = str(error)
        return Proposal(Trial(number, self._key(tables), settings, to_toml(tables)), recipe, wrong)

    def _base_tables(self) -> dict[str, Mapping[str, Any]]:
        """Return the recipe's tables at the size of the teacher's images, checked with the inputs."""
        spec, varied = self._spec, {axis.key for axis in self._spec.axes}
        tables = dict(read_recipe(spec.recipe))
        recipe = check_recipe(spec.recipe, tables, self._above)
        check_inputs(spec.teacher, spec.data, recipe)
        if spec.teacher is None:
            if not any(key.startswith("teach.") for key in varied):
                raise UsageError(
                    f"{spec.name} names no teacher, and every trial would train the same one anew. Train it once with "
                    "`compress teach`, and give teacher its file; or vary a key of [teach]."
                )
        elif "distill.image_size_px" not in varied:
            fitted = fit_to_teacher(recipe, spec.teacher, (), recipe.reading).require_distill()
            tables["distill"] = {**tables["distill"], "image_size_px": fitted.image_size_px}
        return tables

    def _check(self, tables: Mapping[str, Mapping[str, Any]]) -> Recipe:
        recipe = check_recipe(self._spec.recipe, tables, self._above)
        config, halving = recipe.require_distill(), self._spec.halving
        if halving is None:
            return recipe
        if not config.watch_kid:
            raise UsageError("watch_kid = false with [halving], which compares held-back KIDs. Leave one of them out.")
        if halving.first_step % config.sample_every:
            raise UsageError(
                f"first_step = {halving.first_step} of [halving], expected a multiple of distill.sample_every = "
                f"{config.sample_every}, where KID is measured. Vary neither, or set one to suit the other."
            )
        return recipe

    def _key(self, tables: Mapping[str, Mapping[str, Any]]) -> str:
        named = [values.get(key) for values in tables.values() for key in _MAYBE_PATHS]
        files = [file_fingerprint(Path(name)) for name in named if isinstance(name, str) and Path(name).exists()]
        parts = (tables, self._fingerprints, files)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]

    @cached_property
    def _fingerprints(self) -> list[str]:
        """Contents of the data and of the teacher."""
        read = [fingerprint_split(self._spec.data, split) for split in ("train", "test")]
        return [*read, *(() if self._spec.teacher is None else (file_fingerprint(self._spec.teacher),))]


def halve_batch(recipe: Recipe) -> Recipe:
    """Return a recipe whose stages that train take half as many photos a step, at least one."""
    halved: dict[str, Any] = {}
    for table in ("teach", "distill", "prune", "quantize"):
        config = getattr(recipe, table)
        if config is not None:
            halved[table] = replace(config, batch_size=max(1, config.batch_size // 2))
    return replace(recipe, **halved)


def _with_absolute_paths(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return tables that mean the same from any folder, and on another machine that shares these."""

    def placed(key: str, value: Any) -> Any:
        is_file = key in _MAYBE_PATHS and isinstance(value, str) and Path(value).exists()
        return str(Path(value).resolve()) if is_file else value

    return {table: {key: placed(key, value) for key, value in values.items()} for table, values in tables.items()}
