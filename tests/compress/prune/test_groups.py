"""Groups of tied channels, against those drawn by hand from the papers' graphs."""

import keras
import pytest
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models.layers import DepthToSpace, SpaceToDepth
from compress.prune.groups import Group, Slice, find_groups

SHAPE = (8, 8, 3)


def _kernel_slices(group: Group, unit: int) -> set[tuple[str, int, int]]:
    return {(piece.layer, piece.axis, piece.index) for piece in group.units[unit] if piece.variable == "kernel"}


def _model(build) -> keras.Model:
    image = keras.Input(SHAPE)
    features = build(image)
    return keras.Model(image, layers.Conv2D(3, 3, padding="same", name="last")(features))


def test_a_unit_holds_the_slices_of_all_that_makes_carries_and_reads_it() -> None:
    def build(image):
        return layers.ReLU()(
            layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, padding="same", name="one")(image))
        )

    (group,) = find_groups(_model(build))
    assert len(group.units) == 4
    assert group.makers == ("one",)
    assert set(group.units[2]) == {
        Slice("one", "kernel", 3, 2, "makes"),
        Slice("one", "bias", 0, 2, "makes"),
        *(Slice("norm", name, 0, 2, "carries") for name in ("gamma", "beta", "moving_mean", "moving_variance")),
        Slice("last", "kernel", 2, 2, "reads"),
    }


def test_a_residual_sum_ties_every_block_of_a_trunk_and_leaves_the_inner_channels_free() -> None:
    def build(image):
        features = layers.Conv2D(4, 1, name="stem")(image)
        for index in range(2):
            inner = layers.Conv2D(5, 1, name=f"inner{index}")(features)
            features = layers.Add()([features, layers.Conv2D(4, 1, name=f"outer{index}")(inner)])
        return features

    trunk, *inner = find_groups(_model(build))
    assert trunk.makers == ("stem", "outer0", "outer1")
    assert [group.makers for group in inner] == [("inner0",), ("inner1",)]
    assert _kernel_slices(trunk, 1) == {
        ("stem", 3, 1), ("outer0", 3, 1), ("outer1", 3, 1), ("inner0", 2, 1), ("inner1", 2, 1), ("last", 2, 1),
    }  # fmt: skip


def test_a_pixel_shuffle_ties_a_block_of_channels_in_the_order_of_tflite() -> None:
    (group,) = find_groups(_model(lambda image: DepthToSpace(2)(layers.Conv2D(12, 1, name="made")(image))))
    assert len(group.units) == 3
    assert _kernel_slices(group, 1) == {("made", 3, index) for index in (1, 4, 7, 10)} | {("last", 2, 1)}


def test_space_to_depth_repeats_a_channel_for_every_pixel_of_its_block() -> None:
    (group,) = find_groups(_model(lambda image: SpaceToDepth(2)(layers.Conv2D(2, 1, name="made")(image))))
    assert _kernel_slices(group, 1) == {("made", 3, 1)} | {("last", 2, index) for index in (1, 3, 5, 7)}


def test_a_concatenation_keeps_its_parts_apart() -> None:
    def build(image):
        return layers.Concatenate()([layers.Conv2D(2, 1, name="left")(image), layers.Conv2D(3, 1, name="right")(image)])

    left, right = find_groups(_model(build))
    assert (len(left.units), len(right.units)) == (2, 3)
    assert _kernel_slices(right, 0) == {("right", 3, 0), ("last", 2, 2)}


def test_a_layer_used_twice_ties_what_it_reads() -> None:
    def build(image):
        shared = layers.Conv2D(4, 1, name="shared")
        first, second = (layers.Conv2D(5, 1, name=name)(image) for name in ("first", "second"))
        return layers.Add()([shared(first), shared(second)])

    assert {frozenset(group.makers) for group in find_groups(_model(build))} == {
        frozenset({"first", "second"}), frozenset({"shared"}),
    }  # fmt: skip


def test_channels_of_the_image_and_of_the_generated_image_are_never_pruned() -> None:
    def build(image):
        return layers.Add()([image, layers.Conv2D(3, 1, name="beside")(image)])

    assert find_groups(_model(build)) == []


@pytest.mark.parametrize("context", [True, False])
def test_groups_of_a_pixel_shuffle_student(make_student, context: bool) -> None:
    groups = find_groups(make_student(width=48, blocks=4, context=context, side=32))
    sizes = sorted(len(group.units) for group in groups)
    # The skip with the shuffle beside it and the last features; the trunk and four inner ones; two squeezed contexts.
    assert sizes == sorted([24, 24, 48, 48, 48, 48, 48] + [12, 12] * context)


def test_groups_of_a_separable_student(make_student) -> None:
    groups = find_groups(make_student("separable", width=48, blocks=2, context=False, side=32))
    assert sorted(len(group.units) for group in groups) == [8, 8, 16, 16, 48, 48, 48]


def test_an_unknown_layer_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLayer, match=r"layer odd \(LayerNormalization\).*Conv2D"):
        find_groups(_model(lambda image: layers.LayerNormalization(name="odd")(image)))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(6, 1, groups=3, name="odd"),
        layers.DepthwiseConv2D(1, depth_multiplier=2, name="odd"),
        layers.BatchNormalization(axis=1, name="odd"),
        layers.Activation("softmax", name="odd"),
    ],
)
def test_what_mixes_channels_otherwise_is_refused_by_name(layer: layers.Layer) -> None:
    with pytest.raises(UnsupportedLayer, match=r"layer odd .* expected"):
        find_groups(_model(layer))


def test_a_model_without_a_graph_is_refused() -> None:
    with pytest.raises(UnusableModel, match="functional"):
        find_groups(keras.Sequential([layers.Conv2D(3, 1)]))
