"""SGDW, AdamW and LAMB on Keras' legacy optimizers, with the state of those of tensorflow-addons.

Slots, hyperparameters and the order of the arithmetic are Addons', so that a checkpoint written with one of the two
goes on with the other, bit for bit. t counts the steps from 1, η is the step's rate, g the gradient; all are per
variable, w.
"""

import re
from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras

legacy = keras.optimizers.legacy
Rate = float | keras.optimizers.schedules.LearningRateSchedule


class _Decoupled:
    """Before a step of the optimizer that this stands before: w ← w − λ_t w."""

    def __init__(self, weight_decay: Rate, **kwargs):
        super().__init__(**kwargs)
        self._set_hyper("weight_decay", weight_decay)

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        decay = self._get_hyper("weight_decay", var_dtype)
        if isinstance(decay, keras.optimizers.schedules.LearningRateSchedule):
            decay = tf.cast(decay(self.iterations), var_dtype)
        apply_state[var_device, var_dtype]["weight_decay"] = tf.identity(decay)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        decay = _coefficients(self, var, apply_state)["weight_decay"]
        with tf.control_dependencies([var.assign_sub(decay * var, use_locking=self._use_locking)]):
            return super()._resource_apply_dense(grad, var, apply_state=apply_state)

    def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
        """Only the rows that have a gradient decay."""
        decay = _coefficients(self, var, apply_state)["weight_decay"]
        with tf.control_dependencies([self._resource_scatter_add(var, indices, -decay * tf.gather(var, indices))]):
            return super()._resource_apply_sparse(grad, var, indices, apply_state=apply_state)

    def get_config(self):
        return {**super().get_config(), "weight_decay": self._serialize_hyperparameter("weight_decay")}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        decay = config["weight_decay"]
        if isinstance(decay, dict):
            decay = keras.optimizers.schedules.deserialize(decay, custom_objects=custom_objects)
        return super().from_config({**config, "weight_decay": decay}, custom_objects)


@keras.saving.register_keras_serializable("deeplab_ksac")
class SGDW(_Decoupled, legacy.SGD):
    """SGD with momentum and decoupled weight decay (Loshchilov & Hutter, ICLR 2019, Algorithm 1).

        v ← μ v − η_t g,   w ← w − λ_t w + v

    Args:
        weight_decay: λ_t, the whole share by which the weights shrink at a step: the paper's η_t λ.
        learning_rate: η_t, the paper's η_t α.
        momentum: μ, in [0, 1).
        name: of the optimizer.
    """

    def __init__(
        self, weight_decay: Rate, learning_rate: Rate = 0.001, momentum: float = 0.0, name: str = "SGDW", **kwargs
    ):
        super().__init__(weight_decay, learning_rate=learning_rate, momentum=momentum, name=name, **kwargs)


@keras.saving.register_keras_serializable("deeplab_ksac")
class AdamW(_Decoupled, legacy.Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019, Algorithm 2).

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        w ← w − λ_t w − η_t √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    Differs from the paper: ε is added before the second moment is corrected, as in Keras' Adam.

    Args:
        weight_decay: λ_t, the whole share by which the weights shrink at a step: the paper's η_t λ.
        learning_rate: η_t, the paper's η_t α.
        beta_1, beta_2: in [0, 1).
        epsilon: above 0.
        name: of the optimizer.
    """

    def __init__(
        self,
        weight_decay: Rate,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "AdamW",
        **kwargs,
    ):
        super().__init__(
            weight_decay,
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            name=name,
            **kwargs,
        )


@keras.saving.register_keras_serializable("deeplab_ksac")
class LAMB(legacy.Optimizer):
    """Adam's direction, rescaled to the length of each variable (You et al., ICLR 2020, Algorithm 2).

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        r = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε) + λ w
        w ← w − η_t ‖w‖ / ‖r‖ · r

    φ is the identity; the ratio is 1 where a norm is 0, and for a variable that is excluded.

    Args:
        learning_rate: η_t.
        beta_1, beta_2: in [0, 1).
        epsilon: above 0.
        weight_decay: λ.
        exclude_from_layer_adaptation: regular expressions; a variable whose name one of them finds is not rescaled.
        name: of the optimizer.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
        exclude_from_layer_adaptation: Sequence[str] = (),
        name: str = "LAMB",
        **kwargs,
    ):
        super().__init__(name, **kwargs)
        self._set_hyper("weight_decay", weight_decay)
        self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
        self._set_hyper("decay", self._initial_decay)
        self._set_hyper("beta_1", beta_1)
        self._set_hyper("beta_2", beta_2)
        self.epsilon, self.exclude_from_layer_adaptation = epsilon, list(exclude_from_layer_adaptation)

    def _create_slots(self, var_list):
        for slot in ("m", "v"):
            for var in var_list:
                self.add_slot(var, slot)

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        step = tf.cast(self.iterations + 1, var_dtype)
        known = apply_state[var_device, var_dtype]
        for name in ("beta_1", "beta_2", "weight_decay"):
            known[name] = tf.identity(self._get_hyper(name, var_dtype))
        known["correction_1"] = 1.0 - tf.pow(known["beta_1"], step)
        known["correction_2"] = 1.0 - tf.pow(known["beta_2"], step)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        known = _coefficients(self, var, apply_state)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        m = m.assign(m * known["beta_1"] + grad * (1 - known["beta_1"]), use_locking=self._use_locking)
        v = v.assign(v * known["beta_2"] + grad * grad * (1 - known["beta_2"]), use_locking=self._use_locking)
        rate, step = self._rate_and_step(m, v, var, known)
        return var.assign(var - rate * step, use_locking=self._use_locking)

    def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
        """The moments of all rows fade, and all rows move, as if the gradient were zero in the rest."""
        known = _coefficients(self, var, apply_state)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        with tf.control_dependencies([m.assign(m * known["beta_1"], use_locking=self._use_locking)]):
            m = self._resource_scatter_add(m, indices, grad * (1 - known["beta_1"]))
        with tf.control_dependencies([v.assign(v * known["beta_2"], use_locking=self._use_locking)]):
            v = self._resource_scatter_add(v, indices, grad * grad * (1 - known["beta_2"]))
        rate, step = self._rate_and_step(m, v, var, known)
        return var.assign_sub(rate * step, use_locking=self._use_locking)

    def _rate_and_step(self, m, v, var, known):
        """η_t ‖w‖ / ‖r‖ and r of the new moments."""
        step = m / known["correction_1"] / (tf.sqrt(v / known["correction_2"]) + self.epsilon)
        step += known["weight_decay"] * var
        if any(re.search(pattern, var.name) for pattern in self.exclude_from_layer_adaptation):
            return known["lr_t"], step
        length, step_length = tf.norm(var), tf.norm(step)
        ratio = tf.where((length > 0) & (step_length > 0), length / step_length, 1.0)
        return ratio * known["lr_t"], step

    def get_config(self):
        names = ("learning_rate", "weight_decay", "decay", "beta_1", "beta_2")
        return {
            **super().get_config(),
            **{name: self._serialize_hyperparameter(name) for name in names},
            "epsilon": self.epsilon,
            "exclude_from_layer_adaptation": self.exclude_from_layer_adaptation,
        }


def _coefficients(optimizer, var, apply_state):
    """What `_prepare_local` made for a variable's device and type."""
    key = var.device, var.dtype.base_dtype
    return (apply_state or {}).get(key) or optimizer._fallback_apply_state(*key)
