"""Recipes' tables become configurations, or are refused by key and value."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from compress import config
from compress.distill.config import DistillConfig
from compress.errors import UsageError


def test_a_table_and_its_configuration_hold_the_same_values() -> None:
    made = config.from_mapping(DistillConfig, {"steps": 3, "l1_weight": 2, "flip": False}, origin="r.toml")
    assert (made.steps, made.l1_weight, made.flip) == (3, 2, False)
    assert config.from_mapping(DistillConfig, config.to_mapping(made), origin="r.toml") == made


@dataclass(frozen=True, kw_only=True)
class _Paths:
    one: Path
    several: tuple[Path, ...]
    sides: tuple[int, ...]


def test_paths_become_strings_wherever_they_stand() -> None:
    mapping = config.to_mapping(_Paths(one=Path("a"), several=(Path("b"), Path("c")), sides=(1, 2)))
    assert json.loads(json.dumps(mapping)) == {"one": "a", "several": ["b", "c"], "sides": [1, 2]}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"stpes": 3}, "stpes"),
        ({"steps": "many"}, "'many'"),
        ({"steps": True}, "True"),
        ({"family": "resnet"}, "'pixel_shuffle', 'separable'"),
        ({"steps": 0}, "steps = 0"),
        ({"image_size_px": 30}, "30"),
        ({"ema_momentum": 1.0}, "1.0"),
    ],
)
def test_a_wrong_table_is_refused_by_name_and_value(values: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        config.from_mapping(DistillConfig, values, origin="r.toml")
