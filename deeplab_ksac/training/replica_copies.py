"""What each replica keeps for itself, as normalization its statistics, and how it becomes one value in a checkpoint.

Keras has a checkpoint hold the mean of the replicas' copies. For most numbers of replicas the rounded mean of equal
numbers is another number (⅓ · (x + x + x)), so that a continued run would go on from other ones than it had stopped at.
Here it holds the first replica's, and the copies are made equal where a checkpoint is saved.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf


@contextlib.contextmanager
def first_copy_saved() -> Iterator[None]:
    """Inside, variables are made whose copy on the first replica is saved, in the place of the mean of all copies."""

    def create(next_creator, **arguments):
        of_each = arguments.get("synchronization") == tf.VariableSynchronization.ON_READ
        if of_each and arguments.get("aggregation") == tf.VariableAggregation.MEAN:
            arguments["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return next_creator(**arguments)

    with tf.variable_creator_scope(create):
        yield


def equalizer(variables: Sequence[tf.Variable], strategy: tf.distribute.Strategy) -> Callable[[], None]:
    """A function that gives each replica the mean of all replicas' copies, which leaves equal copies as they are.

    Of several workers all have to call it.

    Args:
        variables: those of them that are floats and of which each replica has a copy of its own are taken.
        strategy: where they live.
    """
    taken = [v for v in variables if v.synchronization == tf.VariableSynchronization.ON_READ and v.dtype.is_floating]
    if strategy.num_replicas_in_sync == 1 or not taken:
        return lambda: None

    def equalize_replica():
        copies = [tf.cast(variable.read_value(), tf.float64) for variable in taken]  # in which n · x has room
        means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, copies)
        for variable, mean in zip(taken, means, strict=True):
            variable.assign(tf.cast(mean, variable.dtype))

    @tf.function
    def equalize():
        strategy.run(equalize_replica)

    return equalize
