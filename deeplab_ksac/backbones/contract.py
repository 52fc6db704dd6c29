"""What every backbone shares: the output strides it may have and the image it begins with."""

from tensorflow import keras

OUTPUT_STRIDES = (8, 16, 32)
STAGE_STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}


def require_output_stride(output_stride):
    """Raises ValueError unless `output_stride`, the ratio of the image's size to c5's, is 8, 16 or 32."""
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride!r}")


def image_input(scale=1 / 127.5, offset=-1.0):
    """The network's input and what its first convolution sees: two tensors [N, H, W, 3], `image` and its scaling.

    image, RGB 0…255 float32, is normalized to image · `scale` + `offset` in float32 under every precision policy;
    the default is the author's −1…1, where gray padding of 127.5 becomes 0. Both may be lists of three, for R, G, B.
    """
    image = keras.Input([None, None, 3], name="image", dtype="float32")
    return image, keras.layers.Rescaling(scale, offset, dtype="float32", name="normalize")(image)
