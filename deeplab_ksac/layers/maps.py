"""Feature maps as tensors: their size, their pixels in a row, their precision."""

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
