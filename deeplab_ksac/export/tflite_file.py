"""A trained model as a TensorFlow Lite file."""

import contextlib
import os
import re
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.checking import check_classes, check_written
from deeplab_ksac.export.rounding import Pictures, chosen, of_one_size
from deeplab_ksac.export.server import build_server, image_dtype
from deeplab_ksac.export.target import export_target, require_suffix
from deeplab_ksac.export.whole_maps import with_whole_maps
from deeplab_ksac.literal_paths import temporary_folder


def export_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    info: DatasetInfo,
    views: Views = Views(),
    overwrite: bool = False,
    check: bool = True,
    quantize: str | bool | None = None,
    representative: Pictures | None = None,
    size: tuple[int, int] | None = None,
) -> Path:
    """Writes `model` as a TensorFlow Lite file of built-in operations: image -> classes, probabilities.

    One signature, "serving_default", as `build_server`; images of 16 bits are int32. Batch and size are those that the
    interpreter is resized to (`resize_tensor_input`, `allocate_tensors`), unless a size is given: the graph is then
    simpler and open to the delegates that want static shapes. Attention over all pixels holds its complete map.
    TensorFlow Lite has no sliding window. A file in "int8" gives the classes alone. Class names and colors are in
    `<name>.classes.json` next to it.

    Args:
        model, info, views, overwrite, check: as `export_saved_model`.
        path: the file, ending in .tflite.
        quantize: None, or
            "dynamic_range" (or True): kernels of 1,024 numbers and more in 8 bits, and what they are multiplied with
            rounded to 8 bits while it runs;
            "float16": weights of half the size, which are computed with in float32;
            "int8": weights in 8 bits, those of convolutions by channel, and maps in 8 bits, whose ranges are measured.
            The check is then `check_classes` of pictures of those below.
        representative: for "int8" some hundred typical pictures, uint8 or uint16 [H, W, C]. They are resized to `size`,
            by default to that of the first of them, since the converter knows one size.
        size: None, or (height, width) of the one image that is seen at a time.

    Returns:
        The path, as a `Path`.

    Raises:
        FileExistsError: as `export_saved_model`.
        ValueError: as there; another suffix; operations that TensorFlow Lite has not, which are named; of the
            representative pictures as `rounding.each`, or they can be iterated only once.
    """
    require_suffix(path, ".tflite")
    rounding = chosen(quantize, "tflite", representative)
    with export_target(path, info=info, model=model, overwrite=overwrite) as target:
        server = build_server(with_whole_maps(model), views, info.bands)
        target.partial.write_bytes(_converted(server, rounding, representative, size))
        told = {"kind": "tflite", "views": views, "size": size, "bands": info.bands}
        if check and rounding == "int8":
            check_classes(target.partial, model, pictures=representative, **told)
        elif check:
            check_written(target.partial, model, noise=rounding or "float32", **told)
    return target.path


def _converted(server, rounding, representative, size):
    """The content of the file."""
    function = server.classes if rounding == "int8" else server.__call__
    dtype = image_dtype(server.bands, lite=True)
    if size is not None or dtype != server.image.dtype:
        sides = [None, None, None] if size is None else [1, *size]
        spec = tf.TensorSpec([*sides, server.bands.number], dtype, name="image")
        function = tf.function(function.python_function, [spec])
    with temporary_folder("tflite_") as folder:
        tf.saved_model.save(server, folder, signatures={"serving_default": function})
        drop_assertions(Path(folder) / "saved_model.pb")
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if rounding is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if rounding == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if rounding == "int8":
            # an error of the pictures is no error of the converter
            next(of_one_size(representative, size, server.bands))
            converter.representative_dataset = lambda: (
                {"image": batch.astype(dtype.as_numpy_dtype)}
                for batch in of_one_size(representative, size, server.bands)
            )
            # what has no kernel of 8 bits stays in float32
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            with _without_diagnostics():
                return converter.convert()
        except Exception as error:
            if type(error).__name__ != "ConverterError":
                raise
            raise ValueError(
                f"TensorFlow Lite has no {operations_named(str(error))}, which this model needs; "
                "export it as saved_model or onnx"
            ) from error


def drop_assertions(path: Path) -> None:
    """Makes the assertions of shapes in a SavedModel's graph identities: TensorFlow Lite has none."""
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = saved.meta_graphs[0].graph_def
    for node in [*graph.node, *(node for function in graph.library.function for node in function.node_def)]:
        if node.op == "EnsureShape":
            node.op = "Identity"
            del node.attr["shape"]
    path.write_bytes(saved.SerializeToString())


def operations_named(message: str) -> str:
    """The operations that a converter's message is about, separated by commas."""
    listed = re.search(r"(?:TF Select|Custom) ops: ([\w, ]+)", message)
    if listed:
        return listed[1].strip()
    found = re.findall(r"'tf\.(\w+)' op", message) or re.findall(r'fused\["(\w+):"', message)
    found = [name for name in dict.fromkeys(found) if name != "StatefulPartitionedCall"]
    return ", ".join(found) or "operation for a part of it"


@contextlib.contextmanager
def _without_diagnostics():
    """Discards what native code writes to the standard error: the converter's pages, which its error has too."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
