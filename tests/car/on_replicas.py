"""Run as a process of its own: one batch on several replicas, logical devices of the CPU; results to a .npz file."""

import sys

import numpy as np
import tensorflow as tf

from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac.any_keras import keras
from tests.car.examples import IGNORED, random_pixels

NUM_CLASSES = 5
CASES = {
    "defaults": {},
    "image": {"centers": "image"},
    "thesis": {"settings": "thesis"},
    "moving_centers": {"settings": {"fixed_centers": (), "reduction": "square_of_mean"}},
    "author": {"settings": "author"},
    "moving_average": {"moving_average": 0.9},
}
CASES_OF_FOUR = ("defaults", "moving_centers", "author")


def batch_of_eight():
    """Eight images: class 4 is in the first alone, the third and fourth are ignored as a whole, class 3 is nowhere."""
    features, labels = random_pixels(shape=(8, 3, 4), absent=(3,))
    labels[1:] = np.where(labels[1:] == 4, 2, labels[1:])
    labels[2:4] = IGNORED
    return features, labels


def terms_and_gradients(features, labels, strategy, cases):
    """Of each case the terms of every replica, the gradients of their mean over the replicas, and what is logged."""
    with strategy.scope():
        regularizers = {case: ClassAwareRegularizer(NUM_CLASSES, **arguments) for case, arguments in cases.items()}
        for regularizer in regularizers.values():
            regularizer.build(features.shape)
            regularizer.set_weights([np.zeros(weight.shape, "float32") for weight in regularizer.weights])

    def judge(regularizer, x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            terms = regularizer(x, y)
            share = tf.add_n(list(terms.values())) / strategy.num_replicas_in_sync
        return {**terms, **regularizer.diagnose(x, y), "gradient": tape.gradient(share, x)}

    @tf.function
    def judge_all(*shares):
        judged = {}
        for case, regularizer in regularizers.items():
            judged[case] = strategy.run(judge, (regularizer, *shares))
        return judged

    judged = judge_all(*(distribute(strategy, array) for array in (features, labels)))
    for case, regularizer in regularizers.items():
        for name, value in judged[case].items():
            yield f"{case}/{{}}/{name}", np.stack(strategy.experimental_local_results(value))
        for index, weight in enumerate(regularizer.weights):
            yield f"{case}/{{}}/moving_{index}", weight.numpy()


def distribute(strategy, array):
    """Equal shares of an array, in order."""
    parts = np.split(array, strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )


def fitted(features, labels, strategy):
    """The weights of a small model after three steps of `fit`, and the last logs."""
    with strategy.scope():
        maps, ground_truth = keras.Input(features.shape[1:]), keras.Input(labels.shape[1:], dtype="int32")
        context = keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(1))(maps)
        regularized = ClassAwareEndpoint(NUM_CLASSES, moving_average=0.5)(context, ground_truth)
        logits = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.GlorotUniform(2))(regularized)
        model = keras.Model([maps, ground_truth], logits)
        model.get_layer(index=3).set_weights([np.full([NUM_CLASSES, 4], 0.1)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
    data = [features.astype("float32"), labels]
    history = model.fit(data, np.ones(len(labels)), batch_size=8, epochs=3, verbose=0, shuffle=False).history
    weights = {f"weight_{index}": weight for index, weight in enumerate(model.get_weights())}
    return {**weights, **{f"log_{name}": values[-1] for name, values in history.items()}}


def main(path, *counts):
    """Writes "<case>/<replicas>/<name>" arrays for each number of replicas; at most one of them is above 1, for several
    strategies in one process share the keys of their collective operations."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * max(counts))
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    features, labels = batch_of_eight()
    results = {}
    for replicas in counts:
        several = tf.distribute.MirroredStrategy
        strategy = several(devices[:replicas]) if replicas > 1 else tf.distribute.OneDeviceStrategy(devices[0])
        cases = CASES if replicas < 4 else {case: CASES[case] for case in CASES_OF_FOUR}
        for key, value in terms_and_gradients(features, labels, strategy, cases):
            results[key.format(replicas)] = value
        if replicas < 4:
            for name, value in fitted(features, labels, strategy).items():
                results[f"fit/{replicas}/{name}"] = value
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
