"""SGDW, AdamW and LAMB where TensorFlow Addons do not import: beside every TensorFlow after 2.15.

They stand on Keras' legacy optimizers, as those of Addons do, and name their moments and settings alike, so that a
checkpoint written with either is read with the other and the run goes on with the same bits.
"""

from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras

Rate = float | keras.optimizers.schedules.LearningRateSchedule


class DecoupledDecay:
    """Before the step of another optimizer, whatever its gradient is, each variable w becomes (1 − weight_decay) · w.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019; stands left of the optimizer's class.

    Args:
        weight_decay: share of the weights, at every step, or a schedule of it.
        settings: the other optimizer's.
    """

    def __init__(self, weight_decay: Rate, **settings: Any) -> None:
        super().__init__(**settings)
        self._set_hyper("weight_decay", weight_decay)

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        share = self._get_hyper("weight_decay", var_dtype)
        if isinstance(share, keras.optimizers.schedules.LearningRateSchedule):
            share = tf.cast(share(self.iterations), var_dtype)
        apply_state[var_device, var_dtype]["weight_decay"] = tf.identity(share)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        share = apply_state[var.device, var.dtype.base_dtype]["weight_decay"]
        with tf.control_dependencies([var.assign_sub(share * var, self._use_locking)]):
            return super()._resource_apply_dense(grad, var, apply_state)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_decay": self._serialize_hyperparameter("weight_decay")}


class SGDW(DecoupledDecay, keras.optimizers.legacy.SGD):
    """SGD with momentum and decoupled decay (Loshchilov & Hutter, Algorithm 1)."""

    def __init__(self, weight_decay: Rate, learning_rate: Rate, momentum: float, name: str = "SGDW") -> None:
        super().__init__(weight_decay, learning_rate=learning_rate, momentum=momentum, name=name)


class AdamW(DecoupledDecay, keras.optimizers.legacy.Adam):
    """Adam with decoupled decay (Loshchilov & Hutter, Algorithm 2)."""

    def __init__(
        self,
        weight_decay: Rate,
        learning_rate: Rate,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        name: str = "AdamW",
    ) -> None:
        moments = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(weight_decay, learning_rate=learning_rate, name=name, **moments)


class LAMB(keras.optimizers.legacy.Optimizer):
    """Adam's direction r plus weight_decay · w, as long as w is: w ← w − rate · ‖w‖ / ‖r + weight_decay · w‖ · (…).

    You et al., "Large batch optimization for deep learning", ICLR 2020, Algorithm 2; the factor is 1 where a norm is 0.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: decays of the moments.
        epsilon: added to the root of the second moment.
        weight_decay: share of the weights.
        exclude_from_layer_adaptation: not empty: the factor is 1 for all variables.
    """

    _HAS_AGGREGATE_GRAD = True

    def __init__(
        self,
        learning_rate: Rate,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
        exclude_from_layer_adaptation: list[str],
        name: str = "LAMB",
    ) -> None:
        super().__init__(name)
        self._set_hyper("weight_decay", weight_decay)
        self._set_hyper("learning_rate", learning_rate)
        self._set_hyper("decay", self._initial_decay)
        self._set_hyper("beta_1", beta_1)
        self._set_hyper("beta_2", beta_2)
        self.epsilon = epsilon
        self.exclude_from_layer_adaptation = exclude_from_layer_adaptation

    def _create_slots(self, var_list):
        for moment in ("m", "v"):
            for variable in var_list:
                self.add_slot(variable, moment)

    def _prepare_local(self, var_device, var_dtype, apply_state):
        super()._prepare_local(var_device, var_dtype, apply_state)
        step = tf.cast(self.iterations + 1, var_dtype)
        state = apply_state[var_device, var_dtype]
        for name in ("weight_decay", "beta_1", "beta_2"):
            state[name] = tf.identity(self._get_hyper(name, var_dtype))
        for name in ("beta_1", "beta_2"):
            state[f"{name}_power"] = tf.pow(state[name], step)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        state = apply_state[var.device, var.dtype.base_dtype]
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        first = m.assign(m * state["beta_1"] + grad * (1 - state["beta_1"]), self._use_locking)
        second = v.assign(v * state["beta_2"] + (grad * grad) * (1 - state["beta_2"]), self._use_locking)
        root = tf.sqrt(second / (1.0 - state["beta_2_power"]))
        update = first / (1.0 - state["beta_1_power"]) / (root + self.epsilon)
        update += state["weight_decay"] * var
        ratio = 1.0
        if not self.exclude_from_layer_adaptation:
            lengths = tf.norm(var), tf.norm(update)
            ratio = tf.where((lengths[0] > 0) & (lengths[1] > 0), lengths[0] / lengths[1], 1.0)
        return var.assign(var - ratio * state["lr_t"] * update, self._use_locking)

    def get_config(self) -> dict[str, Any]:
        hypers = ("learning_rate", "weight_decay", "decay", "beta_1", "beta_2")
        return {
            **super().get_config(),
            **{name: self._serialize_hyperparameter(name) for name in hypers},
            "epsilon": self.epsilon,
            "exclude_from_layer_adaptation": self.exclude_from_layer_adaptation,
        }
