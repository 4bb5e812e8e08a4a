"""The speed of training: what is told of it, and that a critic's time lies outside the student."""

import math

import keras
import pytest

from benchmarks import training_speed
from compress.distill.config import DistillConfig

CONFIG = DistillConfig(image_size_px=32, width=8, blocks=1, batch_size=2)


def test_whole_steps_and_the_student_alone_are_timed_in_both_arithmetics() -> None:
    record = training_speed.measure(CONFIG, rounds=2)
    assert [entry["precision"] for entry in record["entries"]] == ["float32", "mixed_bfloat16"]
    for entry in record["entries"]:
        assert entry["images_per_s"] == pytest.approx(2 * entry["steps_per_s"])
        assert 0 < entry["steps_per_s"] < math.inf
        assert entry["outside_share"] < 1
    assert keras.config.dtype_policy().name == "float32"
    assert "pixel_shuffle, 32x32, batch 2; 2 interleaved rounds" in training_speed.describe(record)


def test_the_share_outside_is_what_a_step_takes_more_than_its_student() -> None:
    entry = training_speed._entry("float32", 8, [(0.4, 0.3), (0.5, 0.3), (0.4, 0.3)])
    assert entry["steps_per_s"] == pytest.approx(2.5)
    assert entry["images_per_s"] == pytest.approx(20)
    assert entry["outside_share"] == pytest.approx(0.25)
    # Three rounds have no interval of 95 %: their whole range counts.
    assert entry["noise"] == pytest.approx(0.25)
    assert entry["withheld"]
    record = {"entries": [entry], "rounds": 3, "config": {"family": "unet", "image_size_px": 8, "batch_size": 8}}
    machine = {"cpu": "some", "cores": 2, "load_average": 0.1}
    assert "too noisy" in training_speed.describe(record | {"machine": machine})


def test_a_critic_and_a_look_through_a_teacher_make_a_step_longer_than_its_student_alone(eagerly: None) -> None:
    config = DistillConfig(
        image_size_px=32, width=8, blocks=1, batch_size=2, gram_weight=1.0, adversarial_weight=1.0, critic_filters=8
    )  # fmt: skip
    record = training_speed.measure(config, rounds=1)
    assert all(entry["outside_share"] > 0 for entry in record["entries"])
