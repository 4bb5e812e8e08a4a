"""What LiteRT computes of the networks that score, against the same graphs in NumPy; it needs no weights of anybody."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from eval.features.graphs import efficientnet_lite0, inception, squeezenet
from eval.features.graphs.assembly import Assembly, FeatureGraph, State
from eval.features.litert import LitertExtractor
from export.interpreter.numpy_float import run_graph

Builder = Callable[[State], FeatureGraph]
BUILDERS: tuple[Builder, ...] = (inception.build, efficientnet_lite0.build, squeezenet.build)
# The lengths of feature vectors, and the channels and sides of what is compared, as in the papers' tables.
SHAPES = (
    (2048, [(73, 64), (35, 192), (35, 288), (17, 768), (8, 2048)]),
    (1280, [(112, 16), (56, 24), (28, 40), (14, 112), (7, 320)]),
    (512, [(113, 64), (56, 128), (28, 256), (14, 384), (14, 512)]),
)


@pytest.fixture(autouse=True)
def random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of whatever shape is asked for, under which activations neither fade nor grow."""

    def read(_assembly: Assembly, name: str, shape: tuple[int, ...]) -> np.ndarray:
        draws = np.random.default_rng(list(name.encode()))
        if len(shape) == 4:
            return draws.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        positive = name.endswith(("running_var", "bn.weight", "_bn0.weight", "_bn1.weight", "_bn2.weight"))
        return draws.uniform(0.5, 1.5, shape) if positive else draws.normal(0, 0.2, shape)

    monkeypatch.setattr(Assembly, "_read", read)


def as_it_is(image: np.ndarray) -> np.ndarray:
    return image


@pytest.mark.parametrize(
    ("build", "shapes"), list(zip(BUILDERS, SHAPES, strict=True)), ids=["inception", "efficientnet-lite0", "squeezenet"]
)
def test_features_and_stages_are_those_of_the_graph_in_numpy(
    build: Builder, shapes: tuple[int, list[tuple[int, int]]]
) -> None:
    built = build({})
    image = np.random.default_rng(0).normal(size=built.graph.input_shape).astype(np.float32)
    computed: dict[str, np.ndarray] = {}
    expected = run_graph(built.graph, image[None], lambda name, values: computed.update({name: values}))
    extractor = LitertExtractor(lambda: build({}), as_it_is, scale=0.5)
    features, stages = extractor.features([image]), extractor.activations([image])
    length, sides = shapes
    assert features.shape == (1, length)
    assert [stage.shape for stage in stages] == [(1, side, side, channels) for side, channels in sides]
    # What scores promise. Single precision in another order makes 1e-7 a sum, up to 3e-5 after fifty layers.
    assert np.abs(features - 0.5 * expected.reshape(1, -1)).max() < 1e-4 * np.abs(expected).max()
    for name, stage in zip(built.stages, stages, strict=True):
        assert np.abs(stage - computed[name]).max() < 1e-4 * np.abs(computed[name]).max()


def test_many_threads_get_what_one_gets() -> None:
    extractor = LitertExtractor(lambda: squeezenet.build({}), as_it_is)
    draws = np.random.default_rng(0)
    images = [draws.normal(size=(227, 227, 3)).astype(np.float32) for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda image: extractor.features([image]), images))
    assert np.array_equal(np.concatenate(together), extractor.features(images))
    assert len({row.tobytes() for row in together}) == len(images)
