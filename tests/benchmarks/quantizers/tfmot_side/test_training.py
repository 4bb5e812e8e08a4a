"""Training of the copy: as ours, but for what TFMOT does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quantizers.tfmot.job import TrainingJob
from benchmarks.quantizers.tfmot.student import build_copy, insert_fake_quantization
from benchmarks.quantizers.tfmot.training import fit_model, start_ranges, train_copy
from compress.distill import fit as fitting
from compress.distill.config import FitConfig
from compress.distill.training_data.build import TrainingData
from compress.models.io import clone as clone_in_keras_3

CONFIG = FitConfig(steps=3, batch_size=4, ema_momentum=0.9, learning_rate=1e-3, warmup_steps=50, precision="float32")


def test_a_float_copy_learns_what_the_student_learns(student, described, pairs, work) -> None:
    """Photos, order, mirroring, losses, rates and Adam: three steps of both come to the same weights.

    Not averaged ones: the average of tf_keras starts from the given weights, that of Keras 3 from those after a step.
    """
    config = replace(CONFIG, ema_momentum=0.0)
    model = student("pixel_shuffle")
    copy = build_copy(described(model))
    before = [np.array(weight) for weight in copy.get_weights()]
    training_data = TrainingData(pairs, None, None)
    trained_student = fitting.fit(
        training_data, config, work, "test", start=lambda: clone_in_keras_3(model), name="test"
    )
    fit_model(copy, pairs.split(config.holdout, config.seed)[0], config)
    ours = {variable.path: np.asarray(variable) for variable in trained_student.student.trainable_variables}
    theirs = {variable.name.removesuffix(":0"): variable.numpy() for variable in copy.trainable_variables}
    moved = max(np.abs(weight - earlier).max() for weight, earlier in zip(copy.get_weights(), before, strict=True))
    assert moved > 5e-4
    assert len(theirs) == len(ours)
    for name, weight in theirs.items():
        np.testing.assert_allclose(ours[name.replace("depthwise_kernel", "kernel")], weight, atol=2e-5, err_msg=name)


def test_ranges_start_from_photos_where_asked(student, described, pairs) -> None:
    """A ReLU's least value is 0; the greatest comes from photos instead of TFMOT's own 6."""
    model, _ = insert_fake_quantization(build_copy(described(student("pixel_shuffle"))))
    greatest = [weight for weight in model.weights if "max" in weight.name and "kernel" not in weight.name]
    assert sum(float(weight) == 6 for weight in greatest) > 10
    start_ranges(model, pairs, CONFIG, calibration_images=8)
    assert not any(float(weight) == 6 for weight in greatest)


def test_a_copy_of_another_student_is_refused(student, described, pairs, tmp_path: Path) -> None:
    model = student("space_to_depth")
    check_photos, _ = pairs.batch(np.arange(2))
    job = TrainingJob(
        description=described(model),
        config=CONFIG,
        calibration_images=8,
        photos=tmp_path / "photos.npy",
        targets=tmp_path / "targets.npy",
        rows=pairs.rows,
        calibrated=True,
        check_photos=check_photos,
        expected=np.asarray(model.predict_on_batch(check_photos)) + 1e-3,
    )
    with pytest.raises(RuntimeError, match="differ from the student's"):
        train_copy(job)
