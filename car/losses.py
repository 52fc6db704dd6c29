"""The three losses of class-aware regularization (Sect. 4.3.2 and 4.3.3), as pure functions.

Shapes: features X [G, Q, C], labels [G, Q] int32 with K for pixels that are ignored, centers μ [G, K, C], as
`car.centers` has them. A loss is a scalar, scaled so that its mean over the replicas is the loss of the global batch.
"""

from car.settings import ClassAwareSettings
from deeplab_ksac.tensor_ops import Tensor, ops

DEFAULTS = ClassAwareSettings()


def mean_square(deviations: Tensor, settings: ClassAwareSettings, weights: Tensor | None = None) -> Tensor:
    """f_mse: deviations [G, Q, D], weights [G, Q] of 0 and 1 (default: all 1) -> scalar; 0 where no weight is set."""
    squared = settings.reduction == "mean_of_squares"
    sizes = ops.sum(ops.square(deviations) if squared else ops.abs(deviations), axis=-1)
    weights = ops.ones_like(sizes) if weights is None else weights
    depth = ops.cast(ops.shape(deviations)[-1], sizes.dtype)
    total_and_count = ops.stack([ops.sum(sizes * weights), ops.sum(weights) * depth])
    if settings.averaged_over == "global_batch":
        total_and_count = ops.sum_over_replicas(total_and_count)
    mean = ops.divide_no_nan(total_and_count[0], total_and_count[1])
    return mean if squared else ops.square(mean)


def intra_center_to_pixel(
    features: Tensor, labels: Tensor, centers: Tensor, settings: ClassAwareSettings = DEFAULTS
) -> Tensor:
    """Intra-class center-to-pixel loss (Eq. 4.2, 4.3): how far pixels are from the center of their class.

    A pixel's own center is looked up; Y·μ needs no matrix product.
    """
    labelled = labels < centers.shape[1]
    centers = _fixed(centers, "intra_c2p", settings)
    own = ops.gather_per_group(centers, ops.where(labelled, labels, 0))
    labelled = ops.cast(labelled, features.dtype)
    deviations = own - features
    if settings.ignored_pixels == "counted":
        loss = mean_square(deviations * labelled[..., ops.newaxis], settings)
    else:
        loss = mean_square(deviations, settings, labelled)
    return ops.maximum(loss, settings.intra_floor) if settings.intra_floor else loss


def inter_center_to_center(centers: Tensor, settings: ClassAwareSettings = DEFAULTS) -> Tensor:
    """Inter-class center-to-center loss (Eq. 4.4–4.7): how similar the centers of different classes are.

    An absent class, whose center is zero, contributes the constant of K equal similarities and moves nothing.
    """
    num_classes = centers.shape[1]
    scale = centers.shape[2] ** -0.5
    energies = ops.matmul(centers, _fixed(centers, "inter_c2c", settings), transpose_b=True) * scale
    others = 1 - ops.eye(num_classes, dtype=centers.dtype)
    excess = ops.relu(others * ops.softmax(energies) - settings.c2c_threshold / (num_classes - 1))
    return mean_square(_sum_of_excess(excess, settings), settings)


def inter_center_to_pixel(
    features: Tensor, labels: Tensor, centers: Tensor, settings: ClassAwareSettings = DEFAULTS
) -> Tensor:
    """Inter-class center-to-pixel loss (Eq. 4.8–4.14): how similar pixels are to the centers of other classes."""
    num_classes = centers.shape[1]
    centers = _fixed(centers, "inter_c2p", settings)
    energies = ops.matmul(features, centers, transpose_b=True)
    of_centers = ops.sum(ops.square(centers), axis=-1)[:, ops.newaxis]
    own = ops.class_mask(labels, num_classes)
    if settings.own_similarity == "replaced":
        energies = ops.where(own, of_centers, energies)
    else:
        energies = ops.where(own, ops.zeros_like(energies), energies) + of_centers
    if settings.scaled_c2p:
        energies *= centers.shape[2] ** -0.5
    similarities = ops.where(own, ops.zeros_like(energies), ops.softmax(energies))
    excess = ops.relu(similarities - settings.c2p_threshold / (num_classes - 1))
    counted = settings.ignored_pixels == "counted"
    weights = None if counted else ops.cast(labels < num_classes, features.dtype)
    return mean_square(_sum_of_excess(excess, settings), settings, weights)


def _fixed(centers, term, settings):
    return ops.stop_gradient(centers) if term in settings.fixed_centers else centers


def _sum_of_excess(excess, settings):
    """f_sum of Eq. 4.6 and 4.13: [G, Q, K] -> [G, Q, 1]."""
    sums = ops.sum(excess, axis=-1, keepdims=True)
    margin = settings.inter_margin
    return ops.clip(sums, margin, 1 - margin) if margin else sums
