"""Where a run computes: one device, all GPUs of a machine, several machines, or a TPU."""

import tensorflow as tf
from tensorflow import keras

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


def create_strategy(name="auto", tpu=""):
    """The `tf.distribute.Strategy` of that name.

    Args:
        name: "auto" takes all GPUs of this machine if it has several, else its one GPU, else the CPU. "mirrored" takes
            all GPUs, or all logical CPUs where there is none; "multi_worker" reads TF_CONFIG.
        tpu: address of the TPU, for "tpu"; "" or "local" for one that is attached to this machine.

    Raises:
        ValueError: an unknown name.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {name!r}")
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in devices]
    on_gpus = devices[0].device_type == "GPU"
    if name == "mirrored" or (name == "auto" and on_gpus and len(devices) > 1):
        return tf.distribute.MirroredStrategy(names)
    return tf.distribute.OneDeviceStrategy(names[0])


def workers(strategy):
    """(number of worker processes of a strategy, which of them this is)."""
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec().as_dict() if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else {}
    tasks = [(kind, index) for kind in ("chief", "worker") for index in range(len(spec.get(kind, ())))]
    if len(tasks) < 2:
        return 1, 0
    return len(tasks), tasks.index((resolver.task_type, resolver.task_id))


def split_cpu(count):
    """Makes `count` logical devices of the CPU, so that several replicas can be tried without a GPU.

    Must come before TensorFlow uses its devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def set_precision(name):
    """Sets Keras' policy for the layers made from now on: float32, mixed_float16 or mixed_bfloat16."""
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    keras.mixed_precision.set_global_policy(name)


def make_deterministic(seed):
    """Seeds Python, NumPy and TensorFlow, and has every operation computed in a fixed order (Sect. 4.6.1)."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
