"""Sums over all replicas of a `tf.distribute.Strategy`."""

import tensorflow as tf


def sum_over_replicas(x):
    """The sum of x over the replicas, the same on each, differentiable; x itself outside of `strategy.run`."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)
