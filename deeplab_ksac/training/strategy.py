"""Where and how a run computes: on one device, all GPUs of a machine, several machines or a TPU; repeatable or not."""

import os
from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.devices import before_all_else
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.json_files import is_list_of, is_text, is_whole, parse_object, shortened
from deeplab_ksac.training import slurm

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

# Their generators' states are held by the device and in no checkpoint: a resumed run would draw other numbers.
UNSEEDED = (
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
)
# For which TensorFlow 2.15 has no deterministic GPU kernel.
UNORDERED_ON_GPU = (
    "AdjustContrast",
    "AdjustContrastv2",
    "Bincount",
    "CropAndResizeGradBoxes",
    "CropAndResizeGradImage",
    "DenseBincount",
    "Dilation2DBackpropFilter",
    "Dilation2DBackpropInput",
    "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient",
    "MaxPoolGradWithArgmax",
    "ResizeNearestNeighborGrad",
)
# What a TPU cannot do inside of a step.
ON_THE_HOST = ("EagerPyFunc", "Print", "PrintV2", "PyFunc", "PyFuncStateless", "StringFormat")


def create_strategy(name: str = "auto", tpu: str = "") -> tf.distribute.Strategy:
    """The `tf.distribute.Strategy` of that name.

    Args:
        name: "auto" takes all GPUs of this machine if it has several, else its one GPU, else the CPU. "mirrored" takes
            all GPUs, or all logical CPUs where there is none; "multi_worker" reads TF_CONFIG, or without it the
            variables of Slurm.
        tpu: address of the TPU, for "tpu"; "" or "local" for one that is attached to this machine.

    Raises:
        ValueError: an unknown name; no such TPU; neither TF_CONFIG nor Slurm says which workers there are; or
            TensorFlow has already computed something in this process and takes no other workers.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {name!r}")
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        except Exception as error:  # TensorFlow asks a cloud's services, which fail in a dozen ways
            raise ValueError(f"tpu={tpu!r} is no TPU that is found: {in_one_line(error)}") from error
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    if name == "multi_worker":
        return _of_workers(os.environ.get("TF_CONFIG", ""))
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in devices]
    on_gpus = devices[0].device_type == "GPU"
    if name == "mirrored" or (name == "auto" and on_gpus and len(devices) > 1):
        return tf.distribute.MirroredStrategy(names)
    return tf.distribute.OneDeviceStrategy(names[0])


def _of_workers(config):
    of_slurm = slurm.is_inside() and not config.strip()
    if not of_slurm:
        check_cluster(config)
    with before_all_else("strategy multi_worker"):
        return tf.distribute.MultiWorkerMirroredStrategy(slurm.resolver() if of_slurm else None)


def check_cluster(text: str) -> None:
    """Makes sure that TF_CONFIG says which workers there are and which of them this is.

    Raises:
        ValueError: it does not; without it a worker would train alone.
    """
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = parse_object(text) if text.strip() else {}
        task, cluster = config.get("task"), config.get("cluster")
        known = cluster.get(task["type"])
        found = is_list_of(known, is_text) and is_whole(task["index"]) and task["index"] < len(known)
    except (AttributeError, KeyError, TypeError, ValueError):
        found = False
    if not found:
        raise ValueError(
            f"strategy multi_worker reads the environment variable TF_CONFIG, such as {example}, not "
            f"{shortened(text) if text else 'nothing: it is not set, and this is no job of Slurm'}"
        )


def workers(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """(number of worker processes of a strategy, which of them this is)."""
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec().as_dict() if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else {}
    tasks = [(kind, index) for kind in ("chief", "worker") for index in range(len(spec.get(kind, ())))]
    if len(tasks) < 2:
        return 1, 0
    return len(tasks), tasks.index((resolver.task_type, resolver.task_id))


def split_cpu(count: int) -> None:
    """Makes `count` logical devices of the CPU, so that several replicas can be tried without a GPU.

    Raises:
        ValueError: TensorFlow has already computed something in this process.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    with before_all_else("cpu_replicas"):
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def set_precision(name: str) -> None:
    """Sets Keras' policy for the layers made from now on: float32, mixed_float16 or mixed_bfloat16."""
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    keras.mixed_precision.set_global_policy(name)


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, and has every operation computed in a fixed order (Sect. 4.6.1)."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def check_repeatable(function: tf.types.experimental.ConcreteFunction, device_type: str) -> None:
    """Makes sure that a step is repeatable bit for bit, also through interruptions.

    Args:
        function: the step's.
        device_type: "CPU", "GPU" or "TPU".

    Raises:
        ValueError: it is not; the message names the operations and where they are.
    """
    for kinds, reason in (
        (UNSEEDED, "draws numbers from a generator that no checkpoint holds"),
        (UNORDERED_ON_GPU if device_type == "GPU" else (), "has no deterministic implementation on a GPU"),
    ):
        found = operations(function, kinds)
        if found:
            named = ", ".join(f"{name} ({kind})" for name, kind in found[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise ValueError(f"training cannot be deterministic with {named}{more}, which {reason}")


def operations(function: tf.types.experimental.ConcreteFunction, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """(name, kind) of every operation of these kinds in a concrete function and all that it calls, without repeats."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for called in graph.library.function for node in called.node_def)]
    return sorted({(node.name, node.op) for node in nodes if node.op in kinds})


def device_type(strategy: tf.distribute.Strategy) -> str:
    """The kind of device that a strategy's replicas run on: "CPU", "GPU" or "TPU"."""
    return tf.DeviceSpec.from_string(strategy.extended.worker_devices[0]).device_type
