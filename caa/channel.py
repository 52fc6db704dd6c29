"""Channel attention: the spatially varying gate (Sect. 3.3.2.2), and squeeze-and-excitation."""

from collections.abc import Sequence
from typing import Any

from caa.pointwise import MOST_LAYERS, require_positive
from deeplab_ksac.any_keras import CompositeLayer, build_sublayer, keras
from deeplab_ksac.tensor_ops import Tensor, ops


@keras.saving.register_keras_serializable("caa")
class ChannelAttention(CompositeLayer):
    """The gate of Eq. 3.9 and 3.10, a perceptron without biases on mean features.

    [..., C] -> [..., C] in (0, 1).

    `depth` hidden layers of `width` units with leaky ReLU, then C units with a sigmoid. Means and products
    are in float32 under mixed and half precision too, and so is the gate: the means are sums divided by h·w, below the
    smallest normal float16 on a large map.

    Args:
        width: units of each hidden layer; 128 is the best of Table 3.1.
        depth: number of hidden layers ("layer counts" of Table 3.1); 1 is squeeze-and-excitation's
            perceptron.
        negative_slope: of the leaky ReLU (Sect. 3.3.2.3); 0 is the ReLU of Eq. 3.9. 0.2 is the author's.

    Raises:
        ValueError: `width` or `depth` below 1, or `negative_slope` outside [0, 1).
    """

    def __init__(self, width: int = 128, depth: int = 5, *, negative_slope: float = 0.2, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        require_positive(width=width)
        require_positive(MOST_LAYERS, depth=depth)
        a_number = isinstance(negative_slope, int | float) and not isinstance(negative_slope, bool)
        if not (a_number and 0 <= negative_slope < 1):
            raise ValueError(f"negative_slope must lie in [0, 1), not {negative_slope!r}")
        self.width, self.depth, self.negative_slope = width, depth, negative_slope
        self.gate_dtype = "float64" if self.variable_dtype == "float64" else "float32"
        self.hidden = [
            keras.layers.Dense(width, use_bias=False, dtype=self.gate_dtype, name=f"hidden_{index}")
            for index in range(depth)
        ]

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = input_shape[-1]
        self.excitation = keras.layers.Dense(channels, use_bias=False, dtype=self.gate_dtype, name="excitation")
        widths = [channels, *[self.width] * self.depth]
        for dense, inputs in zip([*self.hidden, self.excitation], widths, strict=True):
            build_sublayer(dense, [None, inputs])
        super().build(input_shape)

    def call(self, mean: Tensor) -> Tensor:
        activated = mean
        for dense in self.hidden:
            activated = ops.leaky_relu(dense(activated), self.negative_slope)
        return ops.sigmoid(self.excitation(activated))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "depth": self.depth,
            "negative_slope": self.negative_slope,
        }


@keras.saving.register_keras_serializable("caa")
class SqueezeExcite(CompositeLayer):
    """Squeeze-and-excitation, the sequential design of Table 3.2: one gate per channel for the entire map.

    [N, h, w, C] -> [N, h, w, C]: mean over all pixels, C/`ratio` units with ReLU, C units with a sigmoid,
    product. `keras.Sequential([AxialAttention(512), SqueezeExcite()])` is the table's "Axial Attention + SE".

    Args:
        ratio: of the channels to the hidden units.

    Raises:
        ValueError: `ratio` below 1, or above the number of channels when the layer is built.
    """

    def __init__(self, ratio: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_positive(ratio=ratio)
        self.ratio = ratio

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = input_shape[-1]
        if self.ratio > channels:
            raise ValueError(f"ratio must be at most the {channels} channels, not {self.ratio}")
        self.squeeze = keras.layers.Dense(channels // self.ratio, "relu", dtype=self.dtype_policy, name="squeeze")
        self.excite = keras.layers.Dense(channels, "sigmoid", dtype=self.dtype_policy, name="excite")
        for dense, inputs in ((self.squeeze, channels), (self.excite, channels // self.ratio)):
            build_sublayer(dense, [None, inputs])
        super().build(input_shape)

    def call(self, features: Tensor) -> Tensor:
        mean = ops.mean(ops.at_least_float32(features), axis=(1, 2), keepdims=True)
        return features * self.excite(self.squeeze(ops.cast(mean, features.dtype)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio}
