"""Feature maps and labels as tensors: their size, their pixels in a row, their axes, and another size for them."""

from deeplab_ksac.tensor_ops import Tensor, ops

at_least_float32 = ops.at_least_float32


def spatial_size(x: Tensor) -> tuple[int | Tensor, int | Tensor]:
    """Height and width of [N, H, W, C]: Python integers where they are known, scalar tensors where not."""
    static, dynamic = x.shape, ops.shape(x)
    return tuple(dynamic[axis] if static[axis] is None else static[axis] for axis in (1, 2))


def flatten_pixels(x: Tensor) -> Tensor:
    """[N, h, w, C] -> [N, h·w, C]."""
    height, width = spatial_size(x)
    return ops.reshape(x, [-1, height * width, x.shape[-1]])


def unflatten_pixels(x: Tensor, like: Tensor) -> Tensor:
    """[N, P, C] -> [N, h, w, C], with the h and w of `like` [N, h, w, any]."""
    return ops.reshape(x, [-1, *spatial_size(like), x.shape[-1]])


def swap_axes(x: Tensor) -> Tensor:
    """Columns become rows: [N, h, w, C] -> [N, w, h, C]."""
    return ops.transpose(x, [0, 2, 1, 3])


def resize_bilinear(x: Tensor, size: tuple[int | Tensor, int | Tensor]) -> Tensor:
    """[N, H, W, C] -> [N, h, w, C], bilinear with corners aligned, in x's own type.

    Corners are aligned because every map of the network has its first and last pixel on the image's first and last
    (sizes 32k + 1; the author's code does so throughout). `tf.image.resize` has half-pixel centers only.
    """
    resized = ops.resize_bilinear(x, size)
    return ops.cast(resized, x.dtype)


def resize_labels(labels: Tensor, size: tuple[int | Tensor, int | Tensor]) -> Tensor:
    """[N, H, W] integers -> [N, h, w], nearest with corners aligned; no new value can appear.

    In float32, which is exact below 2²⁴ and has a kernel on every device.
    """
    images = ops.cast(labels, "float32")[..., ops.newaxis]
    resized = ops.resize_nearest(images, size)
    return ops.cast(resized[..., 0], labels.dtype)
