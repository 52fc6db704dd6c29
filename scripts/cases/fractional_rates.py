"""KSAC's shared product at rates between two whole ones, against whole rates: 320 -> 128 channels, eight maps of 21×21.

These are the maps of the studies with rates of KSAC's own (docs/claims.md). With few channels the products are cheap,
and what moves them weighs most.
"""

import functools

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.fractional_rates import fractional_atrous_products
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.shared_products import shared_atrous_products

MAPS, CHANNELS, FILTERS = (8, 21, 21), 320, 128
WHOLE, FRACTIONAL = (6, 12, 18), (6.5, 12.25, 18.75)


def prepare(products, rates, backward):
    """A callable that runs one side once: forward, or forward and backward to features, kernel and rates."""
    rng = np.random.default_rng(0)
    inputs = [tf.constant(rng.standard_normal([*MAPS, CHANNELS], np.float32))]
    inputs.append(tf.Variable(0.02 * rng.standard_normal([3, 3, CHANNELS, FILTERS], np.float32)))
    inputs.extend(rates)

    def forward():
        return products(*inputs)

    def forward_backward():
        with tf.GradientTape() as tape:
            tape.watch(inputs[0])
            tape.watch(inputs[2:])
            branches = forward()
        return tape.gradient(branches, inputs, [tf.ones_like(branch) for branch in branches])

    return tf.function(forward_backward if backward else forward)


def case(backward, at_most):
    """Fractional rates for each map against whole ones."""
    of_each_map = tf.constant([FRACTIONAL] * MAPS[0], tf.float32)
    return Case(
        title=f"rates between whole ones, 21×21, {'forward+backward' if backward else 'forward'}",
        sides={
            "fractional": functools.partial(prepare, fractional_atrous_products, [of_each_map], backward),
            "whole": functools.partial(
                prepare, functools.partial(shared_atrous_products, atrous_rates=WHOLE), [], backward
            ),
        },
        bounds=(Bound("fractional", "whole", at_most), Bound("fractional", "whole", 2.0, of="memory")),
    )


CASES = {"fractional_rates": case(False, 2.0), "fractional_rates_training": case(True, 1.6)}
