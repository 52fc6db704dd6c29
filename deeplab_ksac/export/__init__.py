"""A trained model in the forms in which models are deployed; none of them needs this project's code."""

import os

from deeplab_ksac.export.folding import fold_projection, without_projection
from deeplab_ksac.export.onnx_file import export_onnx, imported
from deeplab_ksac.export.saved_model import export_saved_model
from deeplab_ksac.export.server import SegmentationServer
from deeplab_ksac.export.target import check_free, check_loadable, refuse_suffixes
from deeplab_ksac.export.tflite_file import export_tflite
from deeplab_ksac.export.web_page import RUNTIME, export_web, runtime_version
from deeplab_ksac.whole_files import recover_replaced

FORMATS = {"saved_model": export_saved_model, "tflite": export_tflite, "onnx": export_onnx, "web": export_web}

__all__ = [
    "FORMATS",
    "RUNTIME",
    "SegmentationServer",
    "check_output",
    "export_onnx",
    "export_saved_model",
    "export_tflite",
    "export_web",
    "fold_projection",
    "without_projection",
]


def check_output(
    form: str, path: str | os.PathLike, *, overwrite: bool = False, runtime: str | os.PathLike = RUNTIME
) -> None:
    """Refuses what would fail only after the model is loaded; what a killed export has set aside is put back first.

    Args:
        form: a key of `FORMATS`.
        path, overwrite, runtime: as the form's function takes them.

    Raises:
        FileExistsError: `path` exists, without `overwrite`; or with it, if it is nothing that was exported.
        ValueError: of a SavedModel, TensorFlow could not load it from `path`, or `path` ends as a file of another form.
        OSError: a package or runtime that the form needs is not installed.
    """
    if form == "saved_model":
        refuse_suffixes(path)
    if form == "web":
        refuse_suffixes(path, "a page")
    recover_replaced(path)
    check_free(path, overwrite)
    if form == "saved_model":
        check_loadable(path)
    if form in ("onnx", "web"):
        imported()
    if form == "web":
        runtime_version(runtime)
