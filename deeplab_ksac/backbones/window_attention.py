"""The layers of Swin: attention inside shifted windows, the block around it, and the merging of patches."""

from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.backbones.attention_windows import (
    join_heads,
    margin_mask,
    partition,
    relative_positions,
    split_heads,
    unite,
    window_margins,
)
from deeplab_ksac.backbones.convolutions import PadToMultiple
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.layers import spatial_size

EPSILON = 1e-5  # of the layer normalization, PyTorch's


def _dense(units, policy, name, use_bias=True):
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, dtype=policy, name=name)


@keras.saving.register_keras_serializable("deeplab_ksac")
class WindowAttention(CompositeLayer):
    """Every pixel attends to those of its window (Swin, Eq. 1, 4): [N, h, w, C] -> [N, h, w, C], any h and w.

    Windows of window_size × window_size pixels tile the map from its first pixel on or, shifted, with lines
    `shift` pixels off. Where a window reaches over the border the pixels it has are all there is: nothing attends to
    padding, so the result is that of the published cyclic shift with its mask. A side that fits into one window is not
    shifted. The bias of the relative position is added to the energies; these and their softmax are float32 at least.

    Args:
        heads: of the attention; they share the channels.
        window_size: side of a window, in pixels.
        shift: of the windows' lines, in pixels, from 0 to window_size − 1.

    Raises:
        ValueError: a window or shift out of range, channels that the heads cannot share.
    """

    def __init__(self, heads: int, window_size: int, *, shift: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if window_size < 1 or not 0 <= shift < window_size:
            raise ValueError(f"a window of {window_size} pixels cannot be shifted by {shift}")
        self.heads, self.window_size, self.shift = heads, window_size, shift

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = input_shape[-1]
        if channels % self.heads:
            raise ValueError(f"{channels} channels cannot be shared by {self.heads} heads")
        self.position_bias = self.add_weight(
            name="position_bias",
            shape=[(2 * self.window_size - 1) ** 2, self.heads],
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            experimental_autocast=False,
        )
        self.qkv = _dense(3 * channels, self.dtype_policy, "qkv")
        self.projection = _dense(channels, self.dtype_policy, "projection")
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        size, side = spatial_size(features), self.window_size
        margins = tuple(window_margins(length, side, self.shift) for length in size)
        query, key, value = split_heads(partition(self.qkv(features), margins, side), 3, self.heads)
        energy = tf.matmul(query * query.shape[-1] ** -0.5, key, transpose_b=True)
        energy = tf.cast(energy, tf.float32) if energy.dtype.size < 4 else energy
        table = tf.reshape(self.position_bias, self.position_bias.shape)  # makes the gradient of the rows a dense one
        bias = tf.gather(table, relative_positions(side))
        energy += tf.cast(tf.transpose(bias, [2, 0, 1]), energy.dtype)
        if not all(isinstance(pixels, int) and pixels == 0 for margin in margins for pixels in margin):
            energy += tf.cast(margin_mask(margins, size, side), energy.dtype)
        attended = tf.matmul(tf.cast(tf.nn.softmax(energy), value.dtype), value)
        return self.projection(unite(join_heads(attended), margins, size, side))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "window_size": self.window_size,
            "shift": self.shift,
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class SwinBlock(CompositeLayer):
    """Window attention, then two dense layers, each normalized before and added: [N, h, w, C] -> [N, h, w, C].

    Args:
        heads, window_size, shift: of the `WindowAttention`.
        drop_path_rate: probability that an image skips a branch while training.
        expansion: channels between the two dense layers, as a multiple of C.
    """

    def __init__(
        self,
        heads: int,
        window_size: int,
        *,
        shift: int = 0,
        drop_path_rate: float = 0.0,
        expansion: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate, self.expansion = drop_path_rate, expansion
        policy = self.dtype_policy
        self.attention_norm = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy, name="attention_norm")
        self.attention = WindowAttention(heads, window_size, shift=shift, dtype=policy, name="attention")
        self.dense_norm = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy, name="dense_norm")
        self.drop_paths = [DropPath(drop_path_rate, dtype=policy, name=f"drop_path_{i}") for i in (1, 2)]

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = input_shape[-1]
        self.expand = _dense(self.expansion * channels, self.dtype_policy, "expand")
        self.reduce = _dense(channels, self.dtype_policy, "reduce")
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        attended = self.attention(self.attention_norm(features))
        features = features + self.drop_paths[0](attended, training=training)
        hidden = tf.nn.gelu(self.expand(self.dense_norm(features)), approximate=False)
        return features + self.drop_paths[1](self.reduce(hidden), training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.attention.heads,
            "window_size": self.attention.window_size,
            "shift": self.attention.shift,
            "drop_path_rate": self.drop_path_rate,
            "expansion": self.expansion,
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class PatchMerging(CompositeLayer):
    """2 × 2 pixels to one of twice the channels: [N, h, w, C] -> [N, ⌈h/2⌉, ⌈w/2⌉, 2 · C], odd sides padded by zeros.

    The four pixels lie side by side, columns before rows as in the published weights, are normalized together and
    reduced by a dense layer.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad = PadToMultiple(2, dtype=self.dtype_policy, name="pad")
        self.norm = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape: tf.TensorShape) -> None:
        self.reduction = _dense(2 * input_shape[-1], self.dtype_policy, "reduction", use_bias=False)
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        padded = self.pad(features)
        corners = [padded[:, y::2, x::2] for x in (0, 1) for y in (0, 1)]
        return self.reduction(self.norm(tf.concat(corners, axis=-1)))
