"""Output stride as a rewrite of a strided network (Sect. 2.2.1): strides taken away, later kernels dilated."""

import difflib
import functools
from collections.abc import Mapping

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.contract import STAGE_STRIDES, require_output_stride
from deeplab_ksac.backbones.rewriting import plan_rewrite
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.layers.norm import NormFactory


def with_output_stride(
    model: keras.Model,
    output_stride: int,
    *,
    endpoints: Mapping[str, str] | None = None,
    norm: NormFactory = BatchNorm(),
    epsilon: float | None = None,
    padding: str = "same",
    replacements: Mapping[str, keras.layers.Layer] | None = None,
) -> keras.Model:
    """A strided network made dense: [N, H, W, 3] -> {"c2", "c3", "c4", "c5"}, ⌈H / s⌉ × ⌈W / s⌉ pixels each.

    Where a stride would bring the features below `output_stride` it becomes 1, and every later kernel is dilated by the
    factor that was saved. Each feature of the strided network is then among ours, unchanged (at image sizes 32k + 1;
    where a network pads symmetrically, at every size). Layers, their names, their weights and the weights' order stay.

    - Padding that Keras fixes for even sizes (ZeroPadding2D of (0, 1) before a strided 3×3) becomes "same", which is
      equal to it at even sizes and right at odd ones. Unpadded kernels become "same" too, so that sizes are ⌈n / s⌉.
      With `padding` "centered", strided convolutions are centered on every stride-th pixel from the first on.
    - Batch normalization comes from `norm`: its momentum and synchronization, the network's own weights and, unless
      another is asked for, epsilon.
    - Global means (squeeze-and-excitation) are taken over the dense map.

    Args:
        model: a functional Keras model of one image and one feature map, such as `keras.applications` give with
            include_top=False; it is left as it is.
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        endpoints: names of layers whose outputs are c2 … c5, {"c5": "block_16_project_BN"}; those not named are the
            widest tensor that enters the next stride, and for c5 the model's output.
        norm: factory of the normalization layers; other than batch normalization they start from their initial weights.
        epsilon: of the batch normalization; None keeps the network's own.
        padding: "same", TensorFlow's, or "centered", PyTorch's: what the network's weights were trained with.
        replacements: name of a layer -> another of the same shapes that takes its place, with its own weights.

    Raises:
        ValueError: another output stride or padding, a layer that can't be rewritten, an endpoint that is missing or
            has another stride; the message names it.
    """
    require_output_stride(output_stride)
    replacements = replacements or {}
    plan = plan_rewrite(model, output_stride, padding)
    names = _endpoint_names(model, plan, endpoints or {})

    image = keras.Input([None, None, model.input_shape[-1]], name="image", dtype="float32")
    replace = functools.partial(
        _replacement, changes=plan.changes, norm=norm, epsilon=epsilon, replacements=replacements
    )
    dense = keras.models.clone_model(model, input_tensors=image, clone_function=replace)
    for layer in model.layers:
        if layer.name not in replacements:
            _copy_weights(layer, dense)
    outputs = {
        stage: dense.get_layer(replacements[name].name if name in replacements else name).output
        for stage, name in names.items()
    }
    return keras.Model(dense.input, outputs, name=model.name)


def _replacement(layer, changes, norm, epsilon, replacements):
    """The layer that takes `layer`'s place: the one asked for, a normalization by `norm`, a planned change, a copy."""
    if layer.name in replacements:
        return replacements[layer.name]
    if isinstance(layer, keras.layers.BatchNormalization):
        return norm(
            name=layer.name,
            epsilon=layer.epsilon if epsilon is None else epsilon,
            center=layer.center,
            scale=layer.scale,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
        )
    layer_class, config = changes.get(layer.name, (type(layer), layer.get_config()))
    return layer_class.from_config(config)


def _copy_weights(layer, dense):
    """Gives the layer's counterpart in `dense` its values; a normalization of another kind keeps its own."""
    if not layer.weights:
        return
    counterpart = dense.get_layer(layer.name)
    if [w.shape for w in counterpart.weights] == [w.shape for w in layer.weights]:
        counterpart.set_weights(layer.get_weights())
    elif not isinstance(layer, keras.layers.BatchNormalization):
        raise ValueError(f"the weights of layer {layer.name} changed their shapes")


def _endpoint_names(model, plan, endpoints):
    """The layer of each stage, c2 … c5, from the asked ones and the widest tensors entering the strides."""
    unknown = sorted(set(endpoints) - set(STAGE_STRIDES))
    if unknown:
        raise ValueError(f"endpoints are {', '.join(STAGE_STRIDES)}, not {', '.join(unknown)}")
    output = model.get_layer(model.output_names[0])
    defaults = {"c5": output.name}
    for stage, stride in list(STAGE_STRIDES.items())[:-1]:
        if plan.entering.get(stride):
            defaults[stage] = max(plan.entering[stride], key=lambda layer: layer.output.shape[-1]).name
    names = {}
    for stage, stride in STAGE_STRIDES.items():
        name = endpoints.get(stage, defaults.get(stage))
        if name is None:
            raise ValueError(f"{model.name} has no stride after {stride}: name {stage}'s layer in endpoints")
        if name not in plan.grids:
            close = ", ".join(difflib.get_close_matches(name, plan.grids))
            raise ValueError(f"endpoint {stage}: {model.name} has no layer {name!r}; similar ones: {close or 'none'}")
        grid = plan.grids[name]
        if grid is None or grid.strided != stride:
            raise ValueError(f"endpoint {stage}: layer {name!r} has stride {grid and grid.strided}, not {stride}")
        names[stage] = name
    return names
