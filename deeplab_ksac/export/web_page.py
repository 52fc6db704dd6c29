"""A trained model as a page for browsers: a folder that any web server hands out and that asks for nothing else."""

import json
import os
import re
import shutil
from pathlib import Path

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.onnx_file import imported, write_onnx
from deeplab_ksac.export.target import export_target, refuse_suffixes

PAGE = Path(__file__).with_name("page")
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # the npm package, and its version that the tests run
RUNTIME = Path("node_modules", PACKAGE, "dist")  # where npm puts it
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
MAX_PIXELS = 4 * 2**20  # of a picture that the network sees as it is, where so many fit into
BUDGET = 2**30  # bytes, which telephones give a page
# per pixel: twice what a mobile backbone was measured to take, and two copies of the logits
BYTES_OF_FEATURES, BYTES_OF_A_CLASS = 160, 8


def export_web(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    info: DatasetInfo,
    views: Views = Views(),
    overwrite: bool = False,
    check: bool = True,
    runtime: str | os.PathLike = RUNTIME,
) -> Path:
    """Writes a folder with a page that segments photographs in the browser, and all that it needs.

    The model is an ONNX file, "image" uint8 [N, H, W, 3] of any size -> "classes", which ONNX Runtime computes on the
    processor. No picture leaves the browser: the page's Content-Security-Policy lets it ask its own server alone.

    Args:
        model, info, views, overwrite, check: as `export_saved_model`; the check is that of `export_onnx`.
        path: the folder to write.
        runtime: the folder with ONNX Runtime's files for browsers.

    Returns:
        The path, as a `Path`.

    Raises:
        OSError: the extra `onnx` is not installed; the runtime is not there; a file cannot be written.
        FileExistsError: as `export_saved_model`.
        ValueError: as `export_onnx`; a path that ends as a file of another form; a model of other pictures than RGB.
    """
    refuse_suffixes(path, "a page")
    if not info.bands.is_rgb:
        raise ValueError(f"a page shows photographs, and this model is of pictures of {info.bands.describe()}")
    imported()
    version = runtime_version(runtime)
    with export_target(path, info=info, model=model, overwrite=overwrite) as target:
        settings = {"max_pixels": max_pixels(info.num_classes, views), "runtime": f"ONNX Runtime Web {version}"}
        (target.partial / "runtime").mkdir(parents=True)
        for source in PAGE.iterdir():
            shutil.copyfile(source, target.partial / source.name)
        for name in RUNTIME_FILES:
            shutil.copyfile(Path(runtime) / name, target.partial / "runtime" / name)
        (target.partial / "settings.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
        write_onnx(model, target.partial / "model.onnx", views=views, bands=info.bands, check=check)
        keep_classes(target.partial / "model.onnx")
    return target.path


def runtime_version(runtime: str | os.PathLike) -> str:
    """The version of the ONNX Runtime for browsers in a folder.

    Raises:
        FileNotFoundError: one of its files is not there.
    """
    for name in RUNTIME_FILES:
        if not Path(runtime, name).is_file():
            raise FileNotFoundError(
                f"{runtime} has no {name}, a file of ONNX Runtime for browsers: npm install {PACKAGE}@{VERSION}, and "
                f"--runtime={RUNTIME.as_posix()}"
            )
    head = Path(runtime, RUNTIME_FILES[0]).read_bytes()[:1024].decode("utf-8", errors="replace")
    found = re.search(r"ONNX Runtime Web v(\S+)", head)
    return found[1] if found else "of an unknown version"


def max_pixels(num_classes: int, views: Views = Views()) -> int:
    """How many pixels of a picture the page shows the network at once, by what a browser's memory holds."""
    at_scale = max(1.0, *views.scales) ** 2
    return int(min(MAX_PIXELS, BUDGET / (BYTES_OF_FEATURES + BYTES_OF_A_CLASS * num_classes)) / at_scale)


def keep_classes(path: Path) -> None:
    """Leaves of an ONNX file what its output "classes" needs, so that no probabilities are computed."""
    _, onnx = imported()
    model = onnx.load(path)
    graph = model.graph
    needed, kept = {"classes"}, []
    for node in reversed(graph.node):  # which are in the order of computation
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_inputs(node))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for values in (graph.output, graph.initializer, graph.value_info):
        left = [value for value in values if value.name in needed]
        del values[:]
        values.extend(left)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _inputs(node):
    """The names that a node reads, those in its inner graphs too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from _inputs(inner)
