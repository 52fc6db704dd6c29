"""Pictures of any bands, for the eye."""

import numpy as np

from deeplab_ksac.bands import Bands, MeasuredBands
from deeplab_ksac.figures.colors import to_bytes

SHOWN_DEVIATIONS = 2  # on both sides of the mean, from black to white


def as_rgb(image: np.ndarray, bands: Bands) -> np.ndarray:
    """A picture that can be looked at: [..., C] -> uint8 RGB [..., 3]; RGB stays what it is, of any type.

    Of three bands or more the first three are R, G and B, of fewer the first is gray. Values of 16 bits, of which a
    sensor often uses a part only, are shown from two deviations below the mean of their band (black) to two above it.

    Args:
        image: integers as they are stored, or floating-point numbers of 0…255 as networks see them.
        bands: of the picture; without mean and deviation the picture's own are taken.
    """
    if bands.is_rgb:
        return image
    chosen = [0, 1, 2] if bands.number >= 3 else [0, 0, 0]
    shown = image[..., chosen].astype(np.float32)
    if image.dtype.kind in "ui":
        shown /= bands.unit
    if bands.depth == 16:
        mean, deviation = _statistics(shown, bands, chosen)
        shown = 127.5 + (shown - mean) * (127.5 / SHOWN_DEVIATIONS) / deviation
    return to_bytes(shown)


def _statistics(shown, bands, chosen):
    """Mean and deviation of the bands that are shown."""
    if isinstance(bands, MeasuredBands):
        return (np.array(values, np.float32)[chosen] for values in (bands.mean, bands.deviation))
    axes = tuple(range(shown.ndim - 1))
    return shown.mean(axes), np.maximum(shown.std(axes), 1e-3)
