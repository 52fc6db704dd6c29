"""A trained model as an ONNX file."""

import importlib
import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import Bands
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.checking import check_classes, check_written
from deeplab_ksac.export.onnx_int8 import in_int8
from deeplab_ksac.export.quiet import quiet
from deeplab_ksac.export.rounding import Pictures, chosen
from deeplab_ksac.export.server import build_server
from deeplab_ksac.export.target import export_target, require_suffix
from deeplab_ksac.export.whole_maps import with_whole_maps

OPSET = 17
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
INT = 2  # ONNX's number for an attribute that is one
CANNOT = "ONNX cannot express this model; export it as saved_model"


def export_onnx(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    info: DatasetInfo,
    views: Views = Views(),
    overwrite: bool = False,
    check: bool = True,
    quantize: str | None = None,
    representative: Pictures | None = None,
) -> Path:
    """Writes `model` as an ONNX file: "image" uint8 [N, H, W, 3] of any size -> "classes", "probabilities".

    As `SegmentationServer`. Atrous convolutions have explicit padding, as ONNX Runtime rejects "SAME" for them. With
    several scales or flip, attention over all pixels holds its complete map. ONNX has no sliding window.
    Class names and colors are in `<name>.classes.json` next to it.

    Args:
        model, info, views, overwrite, check: as `export_saved_model`.
        path: the file, ending in .onnx.
        quantize: None, or "int8": `onnx_int8.in_int8`. The check is then `check_classes` of pictures of those below.
        representative: for "int8" some hundred typical pictures, uint8 or uint16 [H, W, C], of any sizes.

    Returns:
        The path, as a `Path`.

    Raises:
        OSError: the extra `onnx` is not installed.
        FileExistsError: as `export_saved_model`.
        ValueError: as there; another suffix; operations that have no counterpart, which are named; of the
            representative pictures as `rounding.each`, or they can be iterated only once.
    """
    require_suffix(path, ".onnx")
    imported()
    rounding = chosen(quantize, "onnx", representative)
    with export_target(path, info=info, model=model, overwrite=overwrite) as target:
        write_onnx(model, target.partial, views=views, bands=info.bands, check=check and rounding is None)
        if representative is not None:
            target.partial.write_bytes(in_int8(target.partial.read_bytes(), representative, info.bands))
            if check:
                check_classes(
                    target.partial, model, kind="onnx", views=views, pictures=representative, bands=info.bands
                )
    return target.path


def write_onnx(model: keras.Model, path: Path, *, views: Views, bands: Bands, check: bool) -> None:
    """Writes the ONNX file alone; arguments and errors as `export_onnx`."""
    tf2onnx, onnx = imported()
    several = views.flip or len(views.scales) > 1
    # of a loop that several views share the converter makes no loop of ONNX
    served = with_whole_maps(model) if several else model
    converted = _converted(tf2onnx, build_server(served, views, bands))
    pad_explicitly(converted.graph)
    let_maps_be_empty(converted.graph)
    try:
        onnx.checker.check_model(converted)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"{CANNOT}: {str(error).splitlines()[0]}") from error
    path.write_bytes(converted.SerializeToString())
    if check:
        check_written(path, model, kind="onnx", views=views, bands=bands)


def _converted(tf2onnx, server):
    """The ONNX model of a server."""
    with quiet(logging.getLogger("tf2onnx")):
        try:
            return tf2onnx.convert.from_function(server.__call__, input_signature=[server.image], opset=OPSET)[0]
        except ValueError as error:
            raise ValueError(f"{CANNOT}: {error}") from error


def imported() -> tuple[ModuleType, ModuleType]:
    """(tf2onnx, onnx).

    Raises:
        OSError: if one of the packages of the extra `onnx` is not installed.
    """
    try:
        modules = [importlib.import_module(name) for name in PACKAGES]
    except ImportError as error:
        raise OSError(
            f"ONNX files are written by {error.name}, which is not installed: pip install 'deeplab-ksac[onnx]'"
        ) from None
    return modules[0], modules[1]


def pad_explicitly(graph: Any) -> None:
    """Gives the atrous convolutions of an ONNX graph numbers for their padding, in place of "SAME".

    Raises:
        ValueError: one that strides as well: its padding would depend on the size of the image.
    """
    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        same = "auto_pad" in attributes and attributes["auto_pad"].s.startswith(b"SAME")
        rates = list(attributes["dilations"].ints) if "dilations" in attributes else [1]
        if node.op_type != "Conv" or not same or max(rates) == 1:
            continue
        if "strides" in attributes and max(attributes["strides"].ints) > 1:
            raise ValueError(f"{CANNOT}: {node.name} has an atrous rate, a stride and SAME padding")
        reach = [rate * (side - 1) for rate, side in zip(rates, attributes["kernel_shape"].ints, strict=True)]
        node.attribute.remove(attributes["auto_pad"])
        pads = node.attribute.add(name="pads", type=attributes["dilations"].type)
        pads.ints.extend([*(extent // 2 for extent in reach), *(extent - extent // 2 for extent in reach)])


def let_maps_be_empty(graph: Any) -> None:
    """Makes a computed side of 0 mean 0 in an ONNX graph's reshapes, as in TensorFlow; else it would mean "as it was".

    KSAC's far taps read nothing of a map that is smaller than their rate.
    """
    constants = {tensor.name for tensor in graph.initializer}
    constants.update(output for node in graph.node if node.op_type == "Constant" for output in node.output)
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in constants:
            del node.attribute[:]  # which has no other
            node.attribute.add(name="allowzero", type=INT, i=1)
