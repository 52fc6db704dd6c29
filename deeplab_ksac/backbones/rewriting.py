"""The plan of an output-stride rewrite: a walk along the layers that keeps each map's stride and atrous rate."""

import dataclasses

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.contract import require_padding
from deeplab_ksac.backbones.pooling import AtrousPooling2D
from deeplab_ksac.layers import AtrousConv2D, AtrousDepthwiseConv2D

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
REWRITTEN = {keras.layers.Conv2D: AtrousConv2D, keras.layers.DepthwiseConv2D: AtrousDepthwiseConv2D}
POOLINGS = {keras.layers.MaxPooling2D: "max", keras.layers.AveragePooling2D: "mean"}
GLOBAL_POOLINGS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
UNSUPPORTED = (
    keras.Model,
    keras.layers.Conv2DTranspose,
    keras.layers.UpSampling2D,
    keras.layers.Cropping2D,
    keras.layers.Resizing,
)


@dataclasses.dataclass(frozen=True)
class Grid:
    """A feature map's stride to the image in the strided network, and the one it is `kept` at in the dense one."""

    strided: int = 1
    kept: int = 1

    @property
    def rate(self) -> int:
        """The dilation that kernels on this map need."""
        return self.strided // self.kept


@dataclasses.dataclass
class Rewrite:
    """What becomes of a model's layers.

    Attributes:
        changes: layer name -> (class, configuration) of its replacement; layers not named are cloned.
        grids: layer name -> the Grid of its output, None where that is no feature map.
        entering: stride -> the layers whose outputs a kernel with a stride reads there.
    """

    changes: dict = dataclasses.field(default_factory=dict)
    grids: dict = dataclasses.field(default_factory=dict)
    entering: dict = dataclasses.field(default_factory=dict)


def plan_rewrite(model: keras.Model, output_stride: int, padding: str = "same") -> Rewrite:
    """The Rewrite that brings a functional model to `output_stride`; ValueError names a layer that can't be."""
    require_padding(padding)
    plan, padded = Rewrite(), set()
    for layer in model.layers:  # a functional model holds them parents first
        if isinstance(layer, UNSUPPORTED) or len(layer.inbound_nodes) != 1:
            reason = "called more than once" if len(layer.inbound_nodes) != 1 else type(layer).__name__
            raise ValueError(f"{model.name}: layer {layer.name} ({reason}) can't be rewritten to an output stride")
        sources = _sources(layer)
        here = _common_grid(layer, [plan.grids[source.name] for source in sources])
        if isinstance(layer, keras.layers.InputLayer):
            here = Grid()
        elif isinstance(layer, GLOBAL_POOLINGS):
            here = None
        elif here and isinstance(layer, (*CONVOLUTIONS, *POOLINGS)):
            pad = sources[0] if isinstance(sources[0], keras.layers.ZeroPadding2D) else None
            if layer.strides[0] > 1:
                plan.entering.setdefault(here.strided, []).append(_sources(pad)[0] if pad else sources[0])
            here = _plan_window(plan, layer, pad, here, output_stride)
            if padding == "centered" and isinstance(layer, CONVOLUTIONS):
                _center(plan, layer, pad)
            padded.add(pad.name if pad else None)
        plan.grids[layer.name] = here
    for layer in model.layers:
        if isinstance(layer, keras.layers.ZeroPadding2D) and (
            layer.name not in padded or len(layer.outbound_nodes) != 1
        ):
            raise ValueError(f"{model.name}: layer {layer.name} pads for something other than one kernel")
    return plan


def _sources(layer):
    """The layers that a layer reads, as a list."""
    sources = layer.inbound_nodes[0].inbound_layers
    return list(sources) if isinstance(sources, (list, tuple)) else [sources]


def _common_grid(layer, grids):
    """The grid that all feature maps among a layer's inputs share; None if there are none."""
    found = {grid for grid in grids if grid is not None}
    if len(found) > 1:
        raise ValueError(f"layer {layer.name} joins feature maps of different strides")
    return found.pop() if found else None


def _plan_window(plan, layer, pad, here, output_stride):
    """Notes the changes of a convolution or pooling and its padding; returns its output's grid."""
    stride, kernel = layer.strides[0], getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    if len(set(layer.strides)) > 1:
        raise ValueError(f"layer {layer.name} has the strides {layer.strides}: they must be equal")
    removed = here.kept * stride > output_stride
    if removed and here.kept != output_stride:
        raise ValueError(f"layer {layer.name} strides from {here.kept} beyond output stride {output_stride}")
    config = layer.get_config()
    if removed:
        config["strides"] = (1, 1)
    if pad is None:
        config["padding"] = "same"
    if max(kernel) > 1 and isinstance(layer, CONVOLUTIONS):
        _plan_dilation(plan, layer, pad, here.rate, config)
    layer_class = REWRITTEN.get(type(layer), type(layer))
    if max(kernel) > 1 and here.rate > 1 and isinstance(layer, tuple(POOLINGS)):
        layer_class, config = AtrousPooling2D, _dilated_pooling(layer, pad, here.rate)
    plan.changes[layer.name] = (layer_class, config)
    return Grid(here.strided * stride, here.kept * (1 if removed else stride))


def _dilated_pooling(layer, pad, rate):
    """The configuration of the AtrousPooling2D that a pooling becomes."""
    if pad or len(set(layer.pool_size)) > 1:
        raise ValueError(f"layer {layer.name} pools {layer.pool_size} padded pixels: it can't be dilated")
    config = layer.get_config()
    return {
        **{key: config[key] for key in ("name", "trainable", "dtype")},
        "pool_size": layer.pool_size[0],
        "atrous_rate": rate,
        "reduction": next(name for pooling, name in POOLINGS.items() if isinstance(layer, pooling)),
    }


def _plan_dilation(plan, layer, pad, rate, config):
    """Dilates a kernel in `config`, and makes its padding fit any size of the image and the rate."""
    config["dilation_rate"] = tuple(own * rate for own in config["dilation_rate"])
    if rate > 1 and any(side % 2 == 0 for side in layer.kernel_size):
        raise ValueError(f"layer {layer.name} has a kernel of even size {layer.kernel_size}: it can't be dilated")
    if pad is None:
        return
    halves = [side // 2 for side in layer.kernel_size]
    centered = [tuple(axis) for axis in pad.padding] == [(half, half) for half in halves]
    for_even_sizes = [tuple(axis) for axis in pad.padding] == [(half - 1, half) for half in halves]
    if (for_even_sizes and layer.strides[0] > 1) or (centered and rate > 1):
        plan.changes[pad.name] = _no_padding(pad)
        config["padding"] = "same"
    elif rate > 1:
        raise ValueError(
            f"layer {pad.name} pads {pad.padding} for a kernel of {layer.kernel_size}: it can't be dilated"
        )


def _center(plan, layer, pad):
    """Centers a planned convolution on the pixels that its stride keeps, instead of padding as TensorFlow does."""
    layer_class, config = plan.changes[layer.name]
    if max(config["strides"]) == 1 or max(layer.kernel_size) == 1:
        return
    if layer_class not in REWRITTEN.values():
        raise ValueError(f"layer {layer.name} ({type(layer).__name__}) can't be centered")
    plan.changes[layer.name] = (layer_class, {**config, "padding": "same", "centered": True})
    if pad:
        plan.changes[pad.name] = _no_padding(pad)


def _no_padding(pad):
    """A layer of the same name that does nothing: the order of the layers, and so of the weights, stays."""
    own = {key: pad.get_config()[key] for key in ("name", "dtype")}
    return keras.layers.Activation, {**own, "activation": "linear"}
