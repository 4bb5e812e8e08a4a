"""ResNet generators in state dicts of junyanz/pytorch-CycleGAN-and-pix2pix and its many relatives.

Relatives include mit-han-lab/gan-compression, whose mobile and sub-mobile generators have separable convolutions in
their blocks and any list of channels; taesungp/contrastive-unpaired-translation (CUT), which blurs before it halves the
size; and the many that upsample with `nn.Upsample`. Names differ between relatives (`model.10.conv_block.1.weight`,
`model.10.block.1.weight`, `model.10.conv_block.1.conv.0.weight`), numbers and shapes do not, so layers are found by
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import Convention, GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.pytorch.layers import (
    Norms,
    Parameters,
    add_padded_convolution,
    add_padding,
    add_transposed,
    channels_convention,
    is_convolution,
    judge_norms,
    make_rgb,
    take_rgb,
)
from compress.teachers.pytorch.networks import Layers
from compress.teachers.pytorch.sequence import ResidualBlock, Step, read_steps
from compress.teachers.pytorch.unseen import UnseenLayers
from compress.teachers.reading.config import Padding

NAME = "a CycleGAN ResNet generator"
FORMAT = "PyTorch CycleGAN ResNet generator"
MOBILE_FORMAT = "PyTorch GAN Compression mobile ResNet generator"
_PADDINGS: dict[str, Padding] = {"reflection_pad": "reflect", "replication_pad": "replicate", "zero_pad": "zero"}
UPSAMPLING_FILTER = (1.0, 3.0, 3.0, 1.0)
"""CUT's filter for twice the size, which over replicated borders is bilinear interpolation."""


def misfit(layers: Layers) -> str | None:
    """Return what keeps a network from being of this family; None where nothing does."""
    tops = {place[0] for place in layers if len(place) == 1 and is_convolution(layers[place])}
    blocks = {place[0] for place in layers if len(place) > 1}
    if not tops:
        return "it has no numbered convolutions"
    if not blocks:
        return f"it has {len(tops)} convolutions and no residual blocks"
    if min(tops) > min(blocks) or max(tops) < max(blocks):
        return f"its {len(blocks)} blocks do not lie between convolutions"
    return None


def describe(layers: Layers, padding: Padding | None, unseen: UnseenLayers) -> GeneratorDescription:
    """Describe a network.

    Args:
        layers: Its layers by their places.
        padding: What the user says the blocks' padding is; None for what the numbers of the layers tell.
        unseen: What its layers without weights are.

    Raises:
        UnusableModel: If the order of layers is not that of a ResNet generator.
    """
    net = _find_layout(layers)
    net.stem[0].convolution, grey_in = take_rgb(net.stem[0].convolution)
    net.head[-1].convolution, grey_out = make_rgb(net.head[-1].convolution, axis=0)
    norms = judge_norms(_pairs(net))
    if any(norm == {} for _, norm in _pairs(net)) and unseen.kind_of("Norm", norms.convention.because) == "identity":
        norms = _without_unseen_norms(net)
    writer = _Writer(GraphWriter(), norms, padding, unseen)
    writer.add_stem(net)
    for block in net.blocks:
        writer.add_block(block)
    writer.add_head(net)
    unseen.add_last(writer.graph)
    mobile = any(step.depthwise for block in net.blocks for step in block.steps)
    described = writer.graph.finish(MOBILE_FORMAT if mobile else FORMAT, (None, None, 3))
    told = [*channels_convention(grey_in=grey_in, grey_out=grey_out), *_padding_told(net, padding)]
    told += [norms.convention] if "norm" not in unseen.topics() else []
    return replace(described, conventions=tuple(told), batch_norm_told=not norms.batch)


@dataclass
class _Layout:
    """The parts of a ResNet generator."""

    stem: list[Step]
    blocks: list[ResidualBlock]
    head: list[Step]


def _find_layout(layers: Layers) -> _Layout:
    """Return the parts of the first reading that goes with all numbers: norms without weights, or no norms."""
    refusals = []
    for normed in (True, False):
        try:
            return _parted(read_steps(layers, normed=normed))
        except UnusableModel as error:
            refusals.append(error)
    raise refusals[0]


def _parted(steps: Sequence[Step | ResidualBlock]) -> _Layout:
    numbers = [number for number, step in enumerate(steps) if isinstance(step, ResidualBlock)]
    first, last = (numbers[0], numbers[-1]) if numbers else (len(steps), len(steps))
    stem, head = ([step for step in part if isinstance(step, Step)] for part in (steps[:first], steps[last + 1 :]))
    blocks = [step for step in steps[first : last + 1] if isinstance(step, ResidualBlock)]
    if not stem or not head or len(stem) + len(blocks) + len(head) < len(steps):
        raise UnusableModel("its blocks are not all between its first convolutions and its last ones.")
    net = _Layout(stem, blocks, head)
    _check_stem(net)
    for block in blocks[1:]:
        if block.unseen or block.blur is not None:
            raise UnusableModel(f"something without weights lies before its block {block.number}; expected nothing.")
    _check_head(net)
    _check_channels(net)
    return net


def _check_stem(net: _Layout) -> None:
    gaps, blurred = _gaps(net), any(blur is not None for blur in _blurs(net))
    known = (_plain(gaps), _padded(gaps), _reduced(gaps)) if not blurred else (_plain(gaps),)
    if net.stem[0].unseen > 1 or not any(known):
        shown = ", ".join(map(str, gaps))
        raise UnusableModel(
            f"before its convolutions to half size and its first block lie {shown} layers without weights; expected "
            "none, a padding before each of them, or a downsampling behind each."
        )


def _gaps(net: _Layout) -> list[int]:
    return [step.unseen for step in [*net.stem[1:], net.blocks[0]]]


def _blurs(net: _Layout) -> list[np.ndarray | None]:
    """Return the filter behind each convolution of the stem, None where there is none."""
    return [step.blur for step in [*net.stem[1:], net.blocks[0]]]


def _plain(gaps: list[int]) -> bool:
    return not any(gaps)


def _padded(gaps: list[int]) -> bool:
    return len(gaps) > 1 and gaps[-1] == 0 and all(gap == 1 for gap in gaps[:-1])


def _reduced(gaps: list[int]) -> bool:
    return len(gaps) > 1 and gaps[0] == 0 and all(gap == 1 for gap in gaps[1:])


def _check_head(net: _Layout) -> None:
    """Refuse kernels whose channels do not go with what the numbers tell: a transposed convolution, or a plain one."""
    before = net.blocks[-1].steps[-1].convolution["weight"].shape[0]
    for step in net.head[:-1]:
        shape = step.convolution["weight"].shape
        transposed = _is_transposed(step)
        inputs, outputs = (shape[0], shape[1]) if transposed else (shape[1], shape[0])
        kernels = ((3, 3), (4, 4)) if transposed else ((shape[2], shape[2]),)
        if inputs != before or shape[2:] not in kernels or step.unseen > 2 or (step.blur is not None and step.unseen):
            raise UnusableModel(
                f"its up-sampling layer {step.number} has a kernel of {tuple(shape)} behind {step.unseen} layers "
                f"without weights and {before} channels; expected a ConvTranspose2d of 3x3 or 4x4 with stride 2, or a "
                "convolution behind an Upsample and perhaps a padding."
            )
        before = outputs
    last = net.head[-1]
    if last.unseen > 1 or last.blur is not None or last.convolution["weight"].shape[1] != before:
        raise UnusableModel(
            f"its last convolution {last.number} reads {last.convolution['weight'].shape[1]} channels behind "
            f"{last.unseen} layers without weights; expected {before} behind a padding or nothing."
        )


def _check_channels(net: _Layout) -> None:
    """Refuse convolutions that do not read what those before them make."""
    made = net.stem[0].convolution["weight"].shape[0]
    steps = [(str(step.number), step) for step in net.stem[1:]]
    steps += [(f"{block.number}.{step.number}", step) for block in net.blocks for step in block.steps]
    for name, step in steps:
        shape = step.convolution["weight"].shape
        reads = step.depthwise[0]["weight"].shape[0] if step.depthwise else shape[1]
        if reads != made:
            raise UnusableModel(f"its layer {name} reads {reads} channels, but {made} come before it.")
        made = shape[0]


def _is_transposed(step: Step) -> bool:
    return step.unseen == 0 and step.blur is None


def _pairs(net: _Layout) -> list[tuple[Parameters, Parameters | None]]:
    steps = [*net.stem, *(step for block in net.blocks for step in block.steps), *net.head[:-1]]
    inner = [step.depthwise for step in steps if step.depthwise]
    return [(step.convolution, step.norm) for step in steps] + inner


def _without_unseen_norms(net: _Layout) -> Norms:
    """Take out norms of which the file holds nothing."""
    for step in [*net.stem, *(step for block in net.blocks for step in block.steps), *net.head]:
        step.norm = step.norm or None
        if step.depthwise:
            step.depthwise = step.depthwise[0], step.depthwise[1] or None
    return judge_norms(_pairs(net))


def _padding_told(net: _Layout, padding: Padding | None) -> list[Convention]:
    """Return what the numbers tell of the blocks' padding, and where the user says otherwise."""
    padded = net.blocks[0].padded
    first = "1, behind a layer that pads" if padded else "0, so they pad zeros themselves"
    told = Convention(
        topic="padding",
        value="reflect" if padded else "zero",
        basis="assumed" if padded else "file",
        because=f"the convolutions of its blocks have the number {first}",
        flag="--padding",
    )
    if padding is None or padded or padding == "zero":
        return [told]
    because = f"its numbers tell of no layer that pads, so --padding {padding} is taken for the convolutions' own"
    return [told, Convention(topic="padding by the numbers", value="zero", basis="file", because=because)]


@dataclass
class _Writer:
    """Writer of the parts of one network."""

    graph: GraphWriter
    norms: Norms
    padding: Padding | None
    unseen: UnseenLayers

    def add_stem(self, net: _Layout) -> None:
        first, gaps, blurs = net.stem[0], _gaps(net), _blurs(net)
        add_padded_convolution(self.graph, first.convolution, self._outer_padding(first.unseen == 1))
        self._add_norm_and_relu(first)
        if blurs[0] is not None:
            self._add_blur(blurs[0])
        for step, blur in zip(net.stem[1:], blurs[1:], strict=True):
            padding = self._outer_padding(_padded(gaps))
            halves = blur is None and not _reduced(gaps)
            add_padded_convolution(self.graph, step.convolution, padding, strides=2 if halves else 1)
            self._add_norm_and_relu(step)
            if blur is not None:
                self._add_blur(blur)
            elif not halves:
                self._add_unseen_downsampling(step)

    def add_block(self, block: ResidualBlock) -> None:
        """Write two convolutions, plain or separable, with a ReLU between them."""
        entry = self.graph.last
        padding = self.padding or ("reflect" if block.padded else "zero")
        for step in block.steps:
            if step.depthwise:
                add_padding(self.graph, step.depthwise[0]["weight"].shape[-1], padding)
                self._add_depthwise(step.depthwise[0])
                self.norms.add(self.graph, step.depthwise[1])
            add_padded_convolution(self.graph, step.convolution, padding)
            self.norms.add(self.graph, step.norm)
            if step is block.steps[0]:
                self.graph.add("Activation", {"activation": "relu"})
        self.graph.add("Add", {}, inputs=(entry, self.graph.last))

    def add_head(self, net: _Layout) -> None:
        for step in net.head[:-1]:
            if _is_transposed(step):
                add_transposed(self.graph, step.convolution)
            else:
                self._add_upsampling(step)
                add_padded_convolution(self.graph, step.convolution, self._outer_padding(step.unseen == 2))
            self._add_norm_and_relu(step)
        last = net.head[-1]
        add_padded_convolution(self.graph, last.convolution, self._outer_padding(last.unseen == 1))

    def _outer_padding(self, padded: bool) -> Padding:
        """Return the padding of a convolution outside of the blocks; one behind no layer that pads, pads zeros."""
        because = "layers that pad lie before convolutions outside of its blocks"
        return _PADDINGS[self.unseen.kind_of("OuterPadding", because)] if padded else "zero"

    def _add_norm_and_relu(self, step: Step) -> None:
        self.norms.add(self.graph, step.norm)
        self.graph.add("Activation", {"activation": "relu"})

    def _add_depthwise(self, convolution: Parameters, *, strides: int = 1) -> None:
        kernel, bias = convolution["weight"].transpose(2, 3, 0, 1), convolution.get("bias")
        config = {"kernel_size": list(kernel.shape[:2]), "use_bias": bias is not None}
        config |= {"strides": strides} if strides > 1 else {}
        self.graph.add("DepthwiseConv2D", config, weights={"kernel": kernel, "bias": bias})

    def _add_blur(self, filters: np.ndarray) -> None:
        """Write CUT's Downsample: the filter over a mirrored border, every second pixel of it."""
        size = filters.shape[-1] - 1
        amounts = (size // 2, size - size // 2)
        self.graph.add("ReflectionPadding2D", {"padding": (amounts, amounts)})
        self._add_depthwise({"weight": filters}, strides=2)

    def _add_unseen_downsampling(self, step: Step) -> None:
        because = "behind each convolution that does not halve the size lies a layer without weights, as in CUT"
        kind = self.unseen.kind_of("Downsample", because)
        if kind == "blur":
            line = np.array((0.25, 0.5, 0.25), np.float32)
            channels = step.convolution["weight"].shape[0]
            self._add_blur(np.tile(np.outer(line, line), (channels, 1, 1, 1)))
        else:
            pooling = "AveragePooling2D" if kind == "average_pool" else "MaxPooling2D"
            self.graph.add(pooling, {"pool_size": 2, "strides": 2})

    def _add_upsampling(self, step: Step) -> None:
        if step.blur is None:
            because = "a layer without weights lies before a convolution that keeps the size"
            interpolation = self.unseen.kind_of("Upsample", because)
        else:
            _require_bilinear(step.blur)
            interpolation = "bilinear"
        self.graph.add("UpSampling2D", {"size": 2, "interpolation": interpolation})


def _require_bilinear(filters: np.ndarray) -> None:
    line = np.array(UPSAMPLING_FILTER) / 4
    wanted = np.outer(line, line)
    if filters.shape[1:] != (1, 4, 4) or not np.allclose(filters, wanted, atol=1e-3):
        raise UnusableModel(
            f"an upsampling filter of {filters.shape[2]}x{filters.shape[3]} is not CUT's 4x4 of "
            f"{UPSAMPLING_FILTER}, the one that is read here."
        )
