"""A source's pictures: the same one by one and several at once, and what BLAS is set to stays as it was."""

import numpy as np
from threadpoolctl import threadpool_info

from export.source import load_source


def test_several_photos_at_once_make_the_pictures_that_each_makes_alone(small_student, as_artifact, photos) -> None:
    source = load_source(as_artifact(small_student))
    before = [pool["num_threads"] for pool in threadpool_info()]
    several = source.translate_each(photos)
    assert [pool["num_threads"] for pool in threadpool_info()] == before
    np.testing.assert_array_equal(np.stack(several), np.stack([source.translate(photo) for photo in photos]))
    assert np.ptp(np.stack(several), axis=0).max() > 0.01
