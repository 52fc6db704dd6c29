"""Kernel-sharing atrous convolution (Chapter 2): one 3×3 kernel that sees the features at several atrous rates."""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.layers import BatchNorm, ConvNormAct, ImagePooling, atrous_conv2d, deserialize_norm, serialize_norm
from deeplab_ksac.layers.arguments import check_atrous_rates
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.shared_products import shared_atrous_products
from deeplab_ksac.tensor_ops import Tensor, ops

METHODS = ("shared", "direct")
MERGES = ("sum", "concat")


def direct_atrous_products(features: Tensor, kernel: Tensor, atrous_rates: Sequence[int]) -> list[Tensor]:
    """Algorithm 1, line 4, as written: a full convolution for every rate. Shapes as `shared_atrous_products`."""
    return [atrous_conv2d(features, kernel, rate) for rate in atrous_rates]


def separable_atrous_products(
    features: Tensor, pointwise: Tensor, depthwise: Tensor, atrous_rates: Sequence[int], *, method: str = "shared"
) -> list[Tensor]:
    """What the 3×3 kernel K[a, b] = pointwise · diag(depthwise[a, b]) gives at every rate, and K is never made.

    The 1×1 product comes first and does not depend on the rate, so that all rates share it; each adds its nine
    products per channel of the result.

    Args:
        features: [N, h, w, I].
        pointwise: [1, 1, I, C].
        depthwise: [3, 3, C, 1].
        atrous_rates: in pixels; may exceed the map.
        method: "shared" takes the 1×1 product once, "direct" once for every rate.

    Returns:
        One [N, h, w, C] for each rate.
    """

    def mixed():
        return ops.conv2d(features, pointwise, (1, 1), "SAME", (1, 1))

    mixtures = [mixed()] * len(atrous_rates) if method == "shared" else [mixed() for _ in atrous_rates]
    return [
        ops.depthwise_conv2d(mixture, depthwise, (1, 1), "SAME", (rate, rate))
        for mixture, rate in zip(mixtures, atrous_rates, strict=True)
    ]


@keras.saving.register_keras_serializable("deeplab_ksac")
class KernelSharingAtrousConv(CompositeLayer):
    """One 3×3 kernel seen at several atrous rates (Algorithm 1): [N, h, w, C] -> [N, h, w, filters].

    Each rate has its own normalization, then ReLU. The number of rates changes neither the kernel nor, with
    `method="shared"`, the multiply-adds.

        x = KernelSharingAtrousConv(256, atrous_rates=(6, 12, 18))(x)

    Args:
        filters: output channels of the kernel.
        atrous_rates: distances of the kernel's taps, in pixels of the feature map; may exceed the map.
        merge: "sum" of the rates (Algorithm 1), or "concat": [N, h, w, filters · len(atrous_rates)], the model whose
            FLOPs Table 2.1 prints.
        method: "shared" computes the nine products once; "direct" follows Algorithm 1 step by step. Same results.
        separable: a kernel that is a 1×1 kernel and a depthwise 3×3 one after it, both shared by the rates
            (`separable_atrous_products`), with C · filters + 9 · filters weights in place of 9 · C · filters.
        norm: factory of the normalization layers.

    Raises:
        ValueError: filters below 1, unknown merge or method, no rates or a rate below 1.
    """

    def __init__(
        self,
        filters: int,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        merge: str = "sum",
        method: str = "shared",
        separable: bool = False,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        if merge not in MERGES:
            raise ValueError(f"merge must be one of {', '.join(MERGES)}, not {merge!r}")
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        self.filters, self.atrous_rates = filters, check_atrous_rates(atrous_rates)
        self.merge, self.method, self.separable = merge, method, separable
        self.channels = filters if merge == "sum" else filters * len(self.atrous_rates)
        self.make_norm = deserialize_norm(norm)
        self.norms = [
            self.make_norm(dtype=self.dtype_policy, name=f"norm_{index}_rate_{rate}")
            for index, rate in enumerate(self.atrous_rates)
        ]

    def build(self, input_shape: Sequence[int | None]) -> None:
        side = 1 if self.separable else 3
        self.kernel = self.add_weight(
            name="kernel", shape=[side, side, input_shape[-1], self.filters], initializer="glorot_uniform"
        )
        if self.separable:
            self.depthwise_kernel = self.add_weight(
                name="depthwise_kernel", shape=[3, 3, self.filters, 1], initializer="glorot_uniform"
            )
        build_on_keras_3(with_channels(input_shape, self.filters), *self.norms)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.channels)

    def branches(self, features: Tensor, training: bool | None = None) -> list[Tensor]:
        """The maps of the rates before they are merged, [N, h, w, filters] each."""
        return [
            ops.relu(norm(branch, training=training))
            for branch, norm in zip(self._products(features), self.norms, strict=True)
        ]

    def _products(self, features):
        """The kernel's results at every rate."""
        kernel = ops.cast(self.kernel, features.dtype)
        if self.separable:
            depthwise = ops.cast(self.depthwise_kernel, features.dtype)
            return separable_atrous_products(features, kernel, depthwise, self.atrous_rates, method=self.method)
        products = shared_atrous_products if self.method == "shared" else direct_atrous_products
        return products(features, kernel, self.atrous_rates)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        branches = self.branches(features, training)
        return ops.add_n(branches) if self.merge == "sum" else ops.concatenate(branches, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "merge": self.merge,
            "method": self.method,
            "separable": self.separable,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class KSAC(CompositeLayer):
    """The KSAC module (Fig. 2.3), in place of ASPP: [N, h, w, C] -> [N, h, w, filters].

    Image-level features, a 1×1 convolution and the kernel-sharing pyramid side by side, then a 1×1 convolution.

        x = KSAC(256)(x)

    Args:
        filters: channels of every branch and of the result.
        atrous_rates: of the shared kernel, in pixels of the feature map: (6, 12, 18) suits output stride 16.
        merge, method, separable: as `KernelSharingAtrousConv`.
        project: whether the 1×1 convolution at the end is part of the module; without it the result is the
            concatenation, of 3 · filters channels ("sum") or (2 + len(atrous_rates)) · filters ("concat").
        norm: factory of the normalization layers.
    """

    def __init__(
        self,
        filters: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        merge: str = "sum",
        method: str = "shared",
        separable: bool = False,
        project: bool = True,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.project = filters, project
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.image_level = ImagePooling(filters, **shared, name="image_level")
        self.pointwise = ConvNormAct(filters, 1, **shared, name="pointwise")
        self.pyramid = KernelSharingAtrousConv(
            filters, atrous_rates, merge=merge, method=method, separable=separable, **shared, name="pyramid"
        )
        self.channels = 2 * filters + self.pyramid.channels
        self.projection = ConvNormAct(filters, 1, **shared, name="projection") if project else None

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.image_level, self.pointwise, self.pyramid)
        if self.project:
            build_on_keras_3(with_channels(input_shape, self.channels), self.projection)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters if self.project else self.channels)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        branches = (self.image_level, self.pointwise, self.pyramid)
        context = ops.concatenate([branch(features, training=training) for branch in branches], axis=-1)
        return self.projection(context, training=training) if self.project else context

    def rate_features(self, features: Tensor) -> dict[int, Tensor]:
        """What each atrous rate sees at inference (Fig. 2.4): [N, h, w, C] -> {rate: [N, h, w, filters]}."""
        return dict(zip(self.pyramid.atrous_rates, self.pyramid.branches(features, training=False), strict=True))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.pyramid.atrous_rates,
            "merge": self.pyramid.merge,
            "method": self.pyramid.method,
            "separable": self.pyramid.separable,
            "project": self.project,
            "norm": serialize_norm(self.make_norm),
        }
