"""What a trained model holds inside, as arrays: features, the branches of a pyramid, attention maps and gates.

A probe takes one image, float32 RGB [H, W, 3], 0…255. A model that does not have what is asked for is a ValueError.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import AxialAttention, ChannelizedAxialAttention
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.ksac import KSAC


def head_of(model: keras.Model) -> keras.layers.Layer:
    """The head of a segmentation model: its layer called "head".

    Raises:
        ValueError: there is none.
    """
    names = [layer.name for layer in model.layers]
    if "head" not in names:
        raise ValueError(f"the model {model.name} has no layer called 'head', and was not built by build_model")
    return model.get_layer("head")


def probe_outputs(model: keras.Model, names: Sequence[str]) -> Callable:
    """A function: images [N, H, W, 3] -> {name: output}, of no more of the model than these outputs need.

    Raises:
        ValueError: an output that the model does not have.
    """
    missing = [name for name in names if name not in model.output]
    if missing:
        raise ValueError(f"the model has no output {missing[0]!r}; it has {', '.join(sorted(model.output))}")
    part = keras.Model(model.input, {name: model.output[name] for name in names})
    return tf.function(lambda images: part(images, training=False), reduce_retracing=True)


def conflicting_outputs(model: keras.Model) -> dict[str, str]:
    """The outputs that show what each of two attentions would predict alone (Sect. 3.2.1): {output: title}.

    Raises:
        ValueError: the model's head does not have two attentions with logits of their own.
    """
    titles = {"position_logits": "spatial attention", "channel_logits": "channel attention"}
    found = {name: title for name, title in titles.items() if name in model.output}
    if not found:
        raise ValueError(
            f"the head {type(head_of(model)).__name__} has no logits of single attentions; only danet and sequential do"
        )
    return found


def features_of(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """The features before the classifier's convolutions, what CAR regularizes: float32 [h, w, C].

    Of a head with several branches (DANet) their sum.
    """
    return joined(probe_outputs(model, ["features"])(image[np.newaxis])["features"])[0].numpy()


def joined(features: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
    """A tuple of branches as their sum, a single map as it is; in float32."""
    branches = features if isinstance(features, list | tuple) else [features]
    return tf.add_n([tf.cast(branch, tf.float32) for branch in branches])


def pyramid_of(model: keras.Model, image: np.ndarray) -> dict[str, tf.Tensor]:
    """The head's input for one image: {"c2"…"c5": [1, h, w, C]}, after the neck where there is one."""
    head = head_of(model)
    return keras.Model(model.input, head.input)(image[np.newaxis], training=False)


def branch_features(model: keras.Model, image: np.ndarray) -> dict[int, np.ndarray]:
    """The feature maps of each atrous rate, normalized and activated (Fig. 2.4): {rate: float32 [h, w, C]}.

    Raises:
        ValueError: the model's head has no pyramid of atrous rates.
    """
    head = head_of(model)
    context = getattr(head, "context", None)
    known = isinstance(context, KSAC | ASPP)
    maps = context.rate_features(pyramid_of(model, image)["c5"]) if known else {}
    if not maps:
        raise ValueError(f"the head {type(head).__name__} has no atrous rates; only KSAC and DeepLabV3 can have them")
    return {rate: tf.cast(branch[0], tf.float32).numpy() for rate, branch in maps.items()}


def axial_attention(model: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """The axial attention inside a head of chapter 3, and its gates.

    Returns:
        {"columns": [w, h, h], how the pixels of a column attend to it; "rows": [h, w, w]; "row_gates" [h, C] and
        "column_gates" [w, C] where the attention is channelized}, float32.

    Raises:
        ValueError: the model's head has no axial attention.
    """
    head = head_of(model)
    attention = getattr(head, "attention", None)
    if not isinstance(attention, AxialAttention):
        raise ValueError(f"the head {type(head).__name__} has no axial attention; only axial and caa do")
    features = head.reduction(pyramid_of(model, image)["c5"], training=False)
    maps = attention.attention_maps(features)
    if isinstance(attention, ChannelizedAxialAttention):
        maps = {**maps, **attention.gates(features)}
    return {name: tf.cast(x[0], tf.float32).numpy() for name, x in maps.items()}


def attended_by(maps: Mapping[str, np.ndarray], pixel: tuple[int, int]) -> np.ndarray:
    """What a pixel attends to by columns and rows in turn: float32 [h, w], which sums to 1.

    Row attention reaches the pixels of its row, and each of those has gathered its own column (Eq. 3.5).

    Args:
        maps: of `axial_attention`.
        pixel: (row, column) of the map.
    """
    row, column = pixel
    return np.einsum("n,nm->mn", maps["rows"][row, column], maps["columns"][:, row])
