"""Context from means: of the whole image (Fig. 2.3), and of ever smaller regions (PSPNet, Fig. 1.3)."""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.arguments import LONGEST_KERNEL, check_channels, check_lists_of_whole_numbers
from deeplab_ksac.layers.conv import ConvNormAct
from deeplab_ksac.layers.norm import BatchNorm, Norm, deserialize_norm, serialize_norm
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import at_least_float32, resize_bilinear, spatial_size


@keras.saving.register_keras_serializable("deeplab_ksac")
class ImagePooling(CompositeLayer):
    """The image-level branch (Fig. 2.3): mean over all pixels, 1×1 convolution, spread back over the pixels.

    [N, h, w, C] -> [N, h, w, filters]. The mean is taken in float32 at least, whatever the precision policy.
    """

    def __init__(self, filters: int, *, norm: Norm = BatchNorm(), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        self.filters = filters
        self.make_norm = deserialize_norm(norm)
        self.conv = ConvNormAct(filters, 1, norm=self.make_norm, dtype=self.dtype_policy, name="conv")

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.conv)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        mean = ops.mean(ops.at_least_float32(features), axis=(1, 2), keepdims=True)
        context = self.conv(ops.cast(mean, features.dtype), training=training)
        shape = ops.shape(features)
        spread = ops.broadcast_to(context, [shape[0], shape[1], shape[2], self.filters])
        return ops.set_shape(spread, [*features.shape[:3], self.filters])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "norm": serialize_norm(self.make_norm)}


def adaptive_average_pool(features: Tensor, bins: int) -> Tensor:
    """Means over bins × bins regions that cover the map: [N, h, w, C] -> [N, bins, bins, C], in float32 at least.

    Region k of `bins` along a side of n pixels covers the pixels from ⌊k·n / bins⌋ to ⌈(k + 1)·n / bins⌉ − 1, so that
    any n will do: regions overlap by a pixel where `bins` does not divide n, and repeat where n is smaller.
    """
    height, width = spatial_size(features)
    batch, channels = ops.shape(features)[0], features.shape[-1]
    wide = at_least_float32(features)
    columns = ops.reshape(wide, [batch, height, width * channels])
    pooled = ops.matmul(_region_means(height, bins, wide.dtype), columns)
    pooled = ops.matmul(_region_means(width, bins, wide.dtype), ops.reshape(pooled, [batch, bins, width, channels]))
    return ops.ensure_shape(pooled, [features.shape[0], bins, bins, channels])


def _region_means(size, bins, dtype):
    """The matrix [bins, size] whose rows take the means over the regions of one side."""
    first = ops.arange(bins) * size // bins
    end = (ops.arange(1, bins + 1) * size + bins - 1) // bins  # ONNX files would round a negative quotient up
    pixels = ops.arange(size)
    inside = (pixels >= first[:, ops.newaxis]) & (pixels < end[:, ops.newaxis])
    return ops.cast(inside, dtype) / ops.cast(end - first, dtype)[:, ops.newaxis]


@keras.saving.register_keras_serializable("deeplab_ksac")
class PyramidPooling(CompositeLayer):
    """The pyramid pooling module: [N, h, w, C] -> [N, h, w, C + len(bins) · filters].

    The features themselves, and beside them for each of `bins` their means over bins × bins regions, a 1×1
    convolution, spread bilinearly over the pixels. Any h and w.

    Args:
        filters: channels of each of the pooled branches.
        bins: regions along a side, one number per branch.
        norm: factory of the normalization layers.

    Raises:
        ValueError: no bins, or one below 1.
    """

    def __init__(
        self,
        filters: int,
        bins: Sequence[int] = (1, 2, 3, 6),
        *,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_lists_of_whole_numbers(1, LONGEST_KERNEL, bins=tuple(bins))
        self.filters, self.bins, self.make_norm = filters, tuple(bins), deserialize_norm(norm)
        self.branches = [
            ConvNormAct(filters, 1, norm=self.make_norm, dtype=self.dtype_policy, name=f"branch_{index}_bins_{side}")
            for index, side in enumerate(self.bins)
        ]

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, *self.branches)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, input_shape[-1] + len(self.bins) * self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        size = spatial_size(features)
        parts = [features]
        for side, branch in zip(self.bins, self.branches, strict=True):
            means = ops.cast(adaptive_average_pool(features, side), features.dtype)
            parts.append(resize_bilinear(branch(means, training=training), size))
        return ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "bins": self.bins,
            "norm": serialize_norm(self.make_norm),
        }
