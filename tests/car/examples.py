"""Random features and labels, and the objective as the literal twin computes it."""

import dataclasses

import numpy as np

from car import ClassAwareSettings
from tests.literal import car as literal

IGNORED = 255
DEFAULT = ClassAwareSettings()
SETTINGS = {
    "defaults": DEFAULT,
    "thesis": ClassAwareSettings.thesis(),
    "author": ClassAwareSettings.author(),
    "moving_centers": dataclasses.replace(DEFAULT, fixed_centers=()),
    "author_moving_centers": dataclasses.replace(ClassAwareSettings.author(), fixed_centers=()),
    "thresholds_0": dataclasses.replace(DEFAULT, c2c_threshold=0.0, c2p_threshold=0.0),
    "thresholds_1": dataclasses.replace(DEFAULT, c2c_threshold=1.0, c2p_threshold=1.0),
    "wide_clips": dataclasses.replace(DEFAULT, intra_floor=100.0, inter_margin=0.45),
    "printed_4_10": dataclasses.replace(DEFAULT, own_similarity="added"),
    "unscaled": dataclasses.replace(DEFAULT, scaled_c2p=False),
    "counted": dataclasses.replace(DEFAULT, ignored_pixels="counted"),
    "square_of_mean": dataclasses.replace(DEFAULT, reduction="square_of_mean"),
}
TERMS = ("intra_c2p", "inter_c2c", "inter_c2p")


def random_pixels(seed=0, *, shape=(2, 4, 5), channels=6, num_classes=5, absent=(3,), ignored=0.2):
    """Features [N, h, w, C] float64 around a random mean for each class, labels [N, h, w] int32."""
    rng = np.random.default_rng(seed)
    present = [k for k in range(num_classes) if k not in absent]
    labels = rng.choice(present, shape)
    features = rng.normal(size=[num_classes, channels])[labels] + 0.5 * rng.normal(size=[*shape, channels])
    return features, np.where(rng.uniform(size=shape) < ignored, IGNORED, labels).astype("int32")


def literal_terms(features, labels, num_classes, settings, *, fixed_at=None):
    """The three terms of `settings` for features [N, h, w, C] and labels [N, h, w], one group, one replica.

    `fixed_at` are the features whose centers stand where `settings` has them fixed; None means the features themselves.
    """
    pixels, y = features.reshape([-1, features.shape[-1]]), labels.ravel()
    mu = literal.class_centers(pixels, y, num_classes)
    still = mu if fixed_at is None else literal.class_centers(fixed_at.reshape(pixels.shape), y, num_classes)
    centers = {term: still if term in settings.fixed_centers else mu for term in TERMS}
    f_mse = getattr(literal, settings.reduction)
    kept = np.full(y.shape, True) if settings.ignored_pixels == "counted" else y < num_classes
    margin = settings.inter_margin or -np.inf

    def clipped(sums):
        return np.clip(sums, margin, 1 - margin)

    to_pixels = literal.inter_c2p(
        pixels[kept],
        y[kept],
        centers["inter_c2p"],
        settings.c2p_threshold,
        printed=settings.own_similarity == "added",
        scaled=settings.scaled_c2p,
    )
    return {
        "intra_c2p": max(f_mse(literal.intra_c2p(pixels[kept], y[kept], centers["intra_c2p"])), settings.intra_floor),
        "inter_c2c": f_mse(clipped(literal.inter_c2c(mu, centers["inter_c2c"], settings.c2c_threshold))),
        "inter_c2p": f_mse(clipped(to_pixels)),
    }


def finite_differences(function, x, step=1e-6):
    """The central differences of a scalar function at x, an array of x's shape."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        offset = np.zeros_like(x)
        offset[index] = step
        gradient[index] = (function(x + offset) - function(x - offset)) / (2 * step)
    return gradient
