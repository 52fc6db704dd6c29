"""One training step: predict, compute the losses, differentiate, move."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.foreign_code import has_foreign_code
from deeplab_ksac.losses import Objective
from deeplab_ksac.model import with_small_logits
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.optimizers import LOWEST_SCALE, GroupedOptimizer
from deeplab_ksac.training.recompute import Recomputed


def regularized_kernels(variables: Sequence[tf.Variable]) -> list[tf.Variable]:
    """The kernels of plain convolutions and dense layers: what L2 acts on; no depthwise kernel, bias or norm."""
    return [
        variable
        for variable in variables
        if variable.name.split("/")[-1].startswith("kernel") and variable.shape.rank in (2, 4)
    ]


def l2_norm(variables: Sequence[tf.Variable]) -> tf.Tensor:
    """Σ w² over `regularized_kernels`, in float32."""
    kernels = regularized_kernels(variables)
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(kernel, tf.float32))) for kernel in kernels])


class TrainStep:
    """The compiled step: distributed batch {"image", "labels"} -> {term: scalar}, the weights moved once.

    The terms are those of the objective on the global batch, "l2" where it is asked for, "loss", their sum, and what
    the objective measures beside; with clipping or loss scaling "gradient_norm", before clipping; with loss scaling
    "loss_scale" and "skipped": 1 where a gradient was not finite, so that nothing was moved, while the scale could
    still be halved. What layers and losses keep beside weights, such as the statistics of normalization, is then what
    it was before. Terms of such a step may be not finite; at any other step that is divergence.

    Args:
        model, objective, optimizer, strategy: what is trained, where; an optimizer that is not built yet is built.
        l2: factor of the sum of squared kernels.
        accumulate: parts of a replica's share of the batch that are taken one after the other, to need less memory.
            The gradients are those of the whole batch for all losses that are means over pixels or images; batch
            normalization, CAR, Dice and the choice of OHEM see one part at a time.
        clip_norm: the largest norm of all gradients together, summed over replicas and parts; 0 for no clipping.
        averages: `MovingAverages` of the model, or None.
        recompute: whether the backbone is computed a second time for its gradient, which takes less memory and more
            time (`training.recompute`); results agree to rounding.
        jit: whether XLA compiles the step as a whole; results agree to rounding.
        forward: a batch -> the model's outputs in training; by default those for the batch's "image".

    Raises:
        ValueError: `jit` with several replicas, whose exchanges XLA cannot compile.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        optimizer: GroupedOptimizer,
        strategy: tf.distribute.Strategy,
        *,
        l2: float = 0.0,
        accumulate: int = 1,
        clip_norm: float = 0.0,
        averages: MovingAverages | None = None,
        recompute: bool = False,
        jit: bool = False,
        forward: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]] | None = None,
    ):
        if jit and strategy.num_replicas_in_sync > 1:
            count = strategy.num_replicas_in_sync
            raise ValueError(f"jit compiles the step of one replica, not of {count}; leave it out, or take one device")
        self.model, self.objective, self.optimizer, self.strategy = model, objective, optimizer, strategy
        self.trained = with_small_logits(model)
        self.recomputed = Recomputed(self.trained) if recompute else None
        self.l2, self.accumulate, self.clip_norm, self.averages = l2, accumulate, clip_norm, averages
        self.loss_scale = optimizer.loss_scale
        self._states = [] if self.loss_scale is None else self._local_states()
        self.forward = forward or (lambda batch: self.trained(batch["image"], training=True))
        with strategy.scope():
            optimizer.build(model.trainable_variables)
        foreign = has_foreign_code(model, objective.losses)
        compiled = jit or None  # False would forbid XLA on a TPU
        self._one = tf.function(self._step, autograph=foreign, jit_compile=compiled)
        self._several = tf.function(self._steps)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step."""
        return self._one(batch)

    def traced(self, batches: Iterable) -> tf.types.experimental.ConcreteFunction:
        """The concrete function of one step on the batches of a distributed data set, or of its iterator."""
        return self.concrete(batches.element_spec)

    def concrete(self, batch: Mapping[str, tf.TypeSpec]) -> tf.types.experimental.ConcreteFunction:
        """The concrete function of one step on a batch of these sizes."""
        return self._one.get_concrete_function(batch)

    def run(self, batches: Iterator, count: int) -> dict[str, tf.Tensor]:
        """`count` steps on the next batches of a distributed iterator, in one call: {term: [count]}."""
        dtypes = {name: value.dtype for name, value in self.traced(batches).structured_outputs.items()}
        return self._several(batches, tf.convert_to_tensor(count, tf.int32), dtypes)

    def _steps(self, batches, count, dtypes):
        arrays = {name: tf.TensorArray(dtype, size=count, element_shape=[]) for name, dtype in dtypes.items()}
        for index in tf.range(count):
            terms = self._one(next(batches))
            arrays = {name: array.write(index, terms[name]) for name, array in arrays.items()}
        return {name: array.stack() for name, array in arrays.items()}

    def _step(self, batch):
        """The step of all replicas, and what follows from it: plateau and averages."""
        if self.loss_scale is None:
            terms, state = self.strategy.run(self._replica_step, args=(batch,)), {}
        else:
            before = [state.read_value() for state in self._states]
            gradients, terms = self.strategy.run(self._differentiate, args=(batch,))
            norm = self.strategy.experimental_local_results(terms["gradient_norm"])[0]
            state = self._move_if_finite(gradients, norm, before)
        terms = {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in terms.items()}
        self.optimizer.observe(terms["loss"] - terms.get("l2", 0.0))
        if self.averages is not None:
            done = self.optimizer.iterations.read_value() - 1
            self.strategy.run(lambda: self.averages.update(self.model.weights, done))
        return {**terms, **state}

    def _replica_step(self, batch):
        """The step of one replica: differentiate, move."""
        gradients, terms = self._differentiate(batch)
        self._move(gradients)
        return terms

    def _differentiate(self, batch):
        """A replica's batch -> ({index of a variable: gradient of the global batch}, terms)."""
        (first, share), *others = self._parts(batch)
        gradients, terms = self._differentiate_part(first, share)
        for part, share in others:
            with tf.control_dependencies(tf.nest.flatten((gradients, terms))):  # else all parts live at once
                more = self._differentiate_part(part, share)
            gradients, terms = tf.nest.map_structure(tf.add, (gradients, terms), more)
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return self._unscaled_and_clipped(gradients, terms)

    def _differentiate_part(self, batch, shares):
        """Predict, compute the losses, differentiate: a part's ({index: scaled gradient}, terms), to be summed."""
        variables = self.model.trainable_variables
        values, before = ({}, []) if self.recomputed is None else self.recomputed.forward(batch["image"])
        between = [] if self.recomputed is None else self.recomputed.read_by_rest(values)
        with tf.GradientTape(watch_accessed_variables=False) as tape:  # what is frozen is not even recorded
            tape.watch((variables, between))
            outputs = self.forward(batch) if self.recomputed is None else self.recomputed.rest(values)
            terms = self.objective(outputs, batch["labels"], shares)
            if self.l2:
                terms = {**terms, "l2": self.l2 / self.accumulate * l2_norm(variables)}
            loss = tf.add_n(list(terms.values()))
            scaled = loss / self.strategy.num_replicas_in_sync
            scaled = scaled if self.loss_scale is None else scaled * self.loss_scale.scale
        gradients = tape.gradient(scaled, [*variables, *between])
        found = {index: gradient for index, gradient in enumerate(gradients[: len(variables)]) if gradient is not None}
        if self.recomputed is not None:
            places = {id(variable): index for index, variable in enumerate(variables)}
            for variable, gradient in self.recomputed.backward(values, before, gradients[len(variables) :]):
                index = places[id(variable)]
                found[index] = found[index] + gradient if index in found else gradient
            found = dict(sorted(found.items()))
        measured = self.objective.diagnose(outputs, batch["labels"])
        return found, {**terms, "loss": loss, **{name: x / self.accumulate for name, x in measured.items()}}

    def _move(self, gradients):
        variables = self.model.trainable_variables
        self.optimizer.apply([(gradient, variables[index]) for index, gradient in gradients.items()])

    def _parts(self, batch):
        """[(part of a replica's batch, its share in each loss)]; one part, without shares, is the batch itself."""
        count = batch["labels"].shape[0]
        if self.accumulate == 1:
            return [(batch, None)]
        if count % self.accumulate:
            raise ValueError(
                f"a replica's {count} examples of a batch cannot be split into {self.accumulate} equal parts"
            )
        split = {name: tf.split(value, self.accumulate) for name, value in batch.items()}
        parts = [{name: values[index] for name, values in split.items()} for index in range(self.accumulate)]
        return list(zip(parts, tf.unstack(self.objective.shares([part["labels"] for part in parts])), strict=True))

    def _unscaled_and_clipped(self, gradients, terms):
        """The summed gradients without the loss's scale, no longer together than `clip_norm`."""
        indices, values = list(gradients), list(gradients.values())
        if self.loss_scale is not None:
            values = [value / tf.cast(self.loss_scale.scale, value.dtype) for value in values]
        if self.clip_norm or self.loss_scale is not None:
            norm = tf.linalg.global_norm(values)
            terms = {**terms, "gradient_norm": norm}
            if self.clip_norm:
                values, _ = tf.clip_by_global_norm(values, self.clip_norm, use_norm=norm)
        return dict(zip(indices, values, strict=True)), terms

    def _local_states(self):
        """What the forward pass may change, of each replica by itself; counts go on in a skipped step."""
        variables = (*self.model.weights, *self.objective.variables)
        states = [variable for variable in variables if not variable.trainable and variable.dtype.is_floating]
        return [local for state in states for local in self.strategy.experimental_local_results(state)]

    def _move_if_finite(self, gradients, norm, before):
        """Outside of a replica's context, where alone a condition may hold a step of all replicas."""
        finite, scale = tf.math.is_finite(norm), self.loss_scale.scale.read_value()

        def move():
            self.strategy.run(self._move, args=(gradients,))
            return tf.constant(0)

        def skip():
            self.optimizer.skip()
            for state, value in zip(self._states, before, strict=True):
                state.assign(value)
            return tf.constant(0)

        tf.cond(finite, move, skip)
        self.loss_scale.update(finite)
        return {"loss_scale": scale, "skipped": tf.cast(~finite & (scale > LOWEST_SCALE), tf.float32)}
