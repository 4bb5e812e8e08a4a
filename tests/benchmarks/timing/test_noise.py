"""The noise of speed-ups, and the reasons to withhold one."""

import threading
import time

import numpy as np
import pytest

from benchmarks.timing.noise import MAX_NOISE, MAX_WAITING, median_noise, sum_waited_s, withheld_reason


def test_noise_covers_the_true_ratio_in_95_of_100_measurements() -> None:
    generator, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        # Long to one side, as disturbed rounds are.
        ratios = 20 * np.exp(generator.exponential(0.1, 30))
        noise = median_noise(ratios.tolist())
        assert noise is not None
        truth = 20 * np.exp(0.1 * np.log(2))
        covered += 1 / (1 + noise) <= truth / np.median(ratios) <= 1 + noise
    assert covered >= 950


def test_noise_shrinks_with_more_rounds() -> None:
    ratios = np.random.default_rng(0).normal(20, 1, 300)
    few, many = median_noise(ratios[:20].tolist()), median_noise(ratios.tolist())
    assert few is not None
    assert many is not None
    assert 0 < many < few / 2


@pytest.mark.parametrize(
    ("ratios", "noise"),
    [([2.0, 2.0, 2.0], 0.0), ([1.0, 2.0, 3.0], 1.0), ([4.0, 5.0, 5.0, 5.0, 6.0, 900.0, 5.0, 5.0, 0.1], 0.25)],
    ids=["no spread", "few rounds: their range", "two outliers of nine are cut off"],
)
def test_noise_of_known_ratios(ratios: list[float], noise: float) -> None:
    assert median_noise(ratios) == pytest.approx(noise)


def test_what_is_too_noisy_is_withheld() -> None:
    assert withheld_reason(MAX_NOISE, waiting=MAX_WAITING) is None
    assert withheld_reason(MAX_NOISE) is None
    assert "off by 34%" in (withheld_reason(0.34, waiting=0.0) or "")
    assert "processor for 85% of the time" in (withheld_reason(0.01, waiting=0.85) or "")
    assert "one round" in (withheld_reason(median_noise([3.0]), waiting=0.0) or "")


def test_waiting_grows_where_threads_compete() -> None:
    before = sum_waited_s()
    if before is None:
        pytest.skip("this system does not tell how long threads wait for a processor")
    ends = time.monotonic() + 0.5
    matrix = np.ones((512, 512), np.float32)

    def work() -> None:
        while time.monotonic() < ends:
            np.matmul(matrix, matrix)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    waited = sum_waited_s()
    for thread in threads:
        thread.join()
    assert waited is not None
    assert waited > before
