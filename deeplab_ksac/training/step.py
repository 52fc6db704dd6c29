"""One training step: predict, judge, differentiate, move."""

import tensorflow as tf

from deeplab_ksac.training.loss_scale import LOWEST


def regularized_kernels(variables):
    """The kernels of plain convolutions and dense layers: what L2 acts on; no depthwise kernel, bias or norm."""
    return [
        variable
        for variable in variables
        if variable.name.split("/")[-1].startswith("kernel") and variable.shape.rank in (2, 4)
    ]


def l2_norm(variables):
    """Σ w² over `regularized_kernels`, in float32."""
    kernels = regularized_kernels(variables)
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(kernel, tf.float32))) for kernel in kernels])


class TrainStep:
    """The compiled step: distributed batch {"image", "labels"} -> {term: scalar}, the weights moved once.

    The terms are those of the objective on the global batch, "l2" where it is asked for, "loss", their sum, and what
    the objective measures beside; with clipping or loss scaling "gradient_norm", before clipping; with loss scaling
    "loss_scale" and "skipped": 1 where a gradient was not finite, so that nothing was moved, while the scale could
    still be halved. Terms of such a step may be not finite; at any other step that is divergence.

    Args:
        model, objective, optimizer, strategy: what is trained, where; the optimizer is a built `GroupedOptimizer`.
        l2: factor of the sum of squared kernels.
        accumulate: parts of a replica's share of the batch that are taken one after the other, to need less memory.
            The gradients are those of the whole batch for all losses that are means over pixels or images; batch
            normalization, CAR, Dice and the choice of OHEM see one part at a time.
        clip_norm: the largest norm of all gradients together, summed over replicas and parts; 0 for no clipping.
        averages: `MovingAverages` of the model, or None.
    """

    def __init__(self, model, objective, optimizer, strategy, *, l2=0.0, accumulate=1, clip_norm=0.0, averages=None):
        self.model, self.objective, self.optimizer, self.strategy = model, objective, optimizer, strategy
        self.l2, self.accumulate, self.clip_norm, self.averages = l2, accumulate, clip_norm, averages
        self.loss_scale = optimizer.loss_scale
        self._one, self._several = tf.function(self._step), tf.function(self._steps)

    def __call__(self, batch):
        """One step."""
        return self._one(batch)

    def traced(self, batches):
        """The concrete function of one step on the batches of a distributed iterator."""
        return self._one.get_concrete_function(batches.element_spec)

    def run(self, batches, count):
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
        if self.loss_scale is None:
            terms, state = self.strategy.run(self._differentiate_and_move, args=(batch,)), {}
        else:
            gradients, terms = self.strategy.run(self._differentiate, args=(batch,))
            state = self._move_if_finite(gradients, self.strategy.experimental_local_results(terms["gradient_norm"])[0])
        terms = {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in terms.items()}
        self.optimizer.observe(terms["loss"] - terms.get("l2", 0.0))
        if self.averages is not None:
            done = self.optimizer.iterations.read_value() - 1
            self.strategy.run(lambda: self.averages.update(self.model.weights, done))
        return {**terms, **state}

    def _differentiate_and_move(self, batch):
        gradients, terms = self._differentiate(batch)
        self._move(gradients)
        return terms

    def _move_if_finite(self, gradients, norm):
        """Outside of a replica's context, where alone a condition may hold a step of all replicas."""
        finite, scale = tf.math.is_finite(norm), self.loss_scale.scale.read_value()

        def move():
            self.strategy.run(self._move, args=(gradients,))
            return tf.constant(0)

        def skip():
            self.optimizer.skip()
            return tf.constant(0)

        tf.cond(finite, move, skip)
        self.loss_scale.update(finite)
        return {"loss_scale": scale, "skipped": tf.cast(~finite & (scale > LOWEST), tf.float32)}

    def _move(self, gradients):
        variables = self.model.trainable_variables
        self.optimizer.apply([(gradient, variables[index]) for index, gradient in gradients.items()])

    def _differentiate(self, batch):
        """A replica's batch -> ({index of a variable: gradient of the global batch}, terms)."""
        parts = self._parts(batch)
        shares = [None] if len(parts) == 1 else tf.unstack(self.objective.shares([part["labels"] for part in parts]))
        gradients, terms = self._judge(parts[0], shares[0])
        for part, share in zip(parts[1:], shares[1:]):
            with tf.control_dependencies(tf.nest.flatten((gradients, terms))):  # else all parts live at once
                more = self._judge(part, share)
            gradients, terms = tf.nest.map_structure(tf.add, (gradients, terms), more)
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return self._finish(gradients, terms)

    def _parts(self, batch):
        count = batch["labels"].shape[0]
        if self.accumulate == 1:
            return [batch]
        if count % self.accumulate:
            raise ValueError(
                f"a replica's {count} examples of a batch cannot be taken in {self.accumulate} equal parts"
            )
        split = {name: tf.split(value, self.accumulate) for name, value in batch.items()}
        return [{name: values[index] for name, values in split.items()} for index in range(self.accumulate)]

    def _judge(self, batch, shares):
        """One part: ({index: scaled gradient}, terms), such that the parts' sum is the batch's."""
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.model(batch["image"], training=True)
            terms = self.objective(outputs, batch["labels"], shares)
            if self.l2:
                terms = {**terms, "l2": self.l2 / self.accumulate * l2_norm(variables)}
            total = tf.add_n(list(terms.values()))
            share = total / self.strategy.num_replicas_in_sync
            share = share if self.loss_scale is None else share * self.loss_scale.scale
        gradients = tape.gradient(share, variables)
        measured = self.objective.diagnose(outputs, batch["labels"])
        measured = {name: value / self.accumulate for name, value in measured.items()}
        found = {index: gradient for index, gradient in enumerate(gradients) if gradient is not None}
        return found, {**terms, "loss": total, **measured}

    def _finish(self, gradients, terms):
        """Takes the scale off the summed gradients and clips them."""
        indices, values = list(gradients), list(gradients.values())
        if self.loss_scale is not None:
            values = [value / tf.cast(self.loss_scale.scale, value.dtype) for value in values]
        if self.clip_norm or self.loss_scale is not None:
            norm = tf.linalg.global_norm(values)
            terms = {**terms, "gradient_norm": norm}
            if self.clip_norm:
                values, _ = tf.clip_by_global_norm(values, self.clip_norm, use_norm=norm)
        return dict(zip(indices, values)), terms


def make_train_step(model, objective, optimizer, strategy, **options):
    """The step, with the optimizer built for the model where it is not yet; options as `TrainStep`."""
    with strategy.scope():
        optimizer.build(model.trainable_variables)
    return TrainStep(model, objective, optimizer, strategy, **options)
