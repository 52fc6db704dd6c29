"""What of a compiled step could not be computed twice alike, found in its graph before the first step is taken."""

import tensorflow as tf

# Their generators' states are held by the device and lie in no checkpoint: a resumed run would draw other numbers.
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


def refuse_unrepeatable(function, device_type):
    """Makes sure that a step is repeatable bit for bit, also through interruptions.

    Args:
        function: the `tf.types.experimental.ConcreteFunction` of the step.
        device_type: "CPU", "GPU" or "TPU".

    Raises:
        ValueError: it is not; the message names the operations and where they stand.
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


def operations(function, kinds):
    """(name, kind) of every operation of these kinds in a concrete function and all that it calls, without repeats."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for called in graph.library.function for node in called.node_def)]
    return sorted({(node.name, node.op) for node in nodes if node.op in kinds})


def device_type(strategy):
    """The kind of device that a strategy's replicas run on: "CPU", "GPU" or "TPU"."""
    return tf.DeviceSpec.from_string(strategy.extended.worker_devices[0]).device_type
