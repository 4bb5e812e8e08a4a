"""Kernels in fewer bytes, against closed forms: no coremltools needed."""

import numpy as np
import pytest

from export.coreml import weights


@pytest.fixture
def kernel() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (16, 8, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
def test_integers_are_within_half_a_step_of_the_kernel(kernel, axis: int):
    integers, scales = weights.quantize_channels(kernel, axis)
    along = scales.astype(np.float32).reshape([-1 if other == axis else 1 for other in range(4)])
    assert (integers.dtype, scales.dtype, scales.shape) == (np.int8, np.float16, (kernel.shape[axis],))
    # A scale that was rounded down to float16 leaves the largest weight up to 127 / 2048 of a step outside.
    assert np.all(np.abs(integers * along - kernel) <= along * (0.5 + 127 / 2048))


def test_channels_too_small_for_float16_become_zero_not_infinite():
    kernel = np.full((2, 8), 1e-9, np.float32)
    integers, scales = weights.quantize_channels(kernel, 0)
    assert np.all(scales > 0)
    assert not integers.any()


def test_few_distinct_weights_are_kept_as_they_are():
    values = np.linspace(-1, 1, 64).astype(np.float16).astype(np.float32)
    kernel = np.random.default_rng(1).choice(values, (64, 64))
    table, indices = weights.palettize(kernel, 6)
    np.testing.assert_array_equal(table[indices].astype(np.float32), kernel)


@pytest.mark.parametrize(("bits", "least_db"), [(6, 32.0), (8, 43.0)])
def test_table_is_near_the_best_for_a_normal_distribution(bits: int, least_db: float):
    kernel = np.random.default_rng(2).normal(0, 0.1, (64, 64, 3, 3)).astype(np.float32)
    table, indices = weights.palettize(kernel, bits)
    error = np.square(table[indices].astype(np.float64) - kernel).mean()
    # Panter and Dite 1951: the best table for a normal distribution has 6.02 dB a bit, less 4.35 dB: 31.8 and 43.8.
    assert 10 * np.log10(np.square(kernel).mean() / error) > least_db - 1


def test_each_weight_has_its_nearest_entry(kernel):
    table, indices = weights.palettize(kernel, 6)
    assert np.all(np.diff(table.astype(np.float64)) >= 0)
    nearest = np.abs(kernel[..., np.newaxis] - table.astype(np.float32)).min(axis=-1)
    np.testing.assert_allclose(np.abs(table.astype(np.float32)[indices] - kernel), nearest, atol=1e-7)


def test_indices_follow_one_another_from_the_least_significant_bit():
    # 1, 2, 3, 4 in six bits each: 000001 000010 000011 000100, each written backwards into the bytes.
    packed = weights.pack_indices(np.array([1, 2, 3, 4], np.uint8), 6)
    whole = int.from_bytes(packed.tobytes(), "little")
    assert (packed.size, whole) == (3, 1 | 2 << 6 | 3 << 12 | 4 << 18)
