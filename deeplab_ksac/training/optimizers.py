"""Optimizers with their learning-rate schedules (Sect. 2.3.2, 3.4.1.3)."""

from tensorflow import keras

from deeplab_ksac.construct import construct


def poly(learning_rate, steps, power=0.9):
    """learning_rate · (1 - step / steps)^power, 0 after the last step (Sect. 3.4.1.3)."""
    return keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=0.0, power=power)


def sgd(steps, learning_rate=0.01, *, momentum=0.9, power=0.9):
    """SGD with momentum and the poly schedule."""
    return keras.optimizers.SGD(poly(learning_rate, steps, power), momentum=momentum)


def adam(steps, learning_rate=1e-3, *, power=0.9):
    """Adam with the poly schedule."""
    return keras.optimizers.Adam(poly(learning_rate, steps, power))


OPTIMIZERS = {"adam": adam, "sgd": sgd}


def build_optimizer(part, steps):
    """The optimizer of a stage of `steps` steps, with loss scaling under the policy mixed_float16."""
    optimizer = construct(OPTIMIZERS, part, steps=steps)
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
