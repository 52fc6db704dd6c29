"""Runs an exported model in a process that has nothing of this project: fresh.py <kind> <model> <folder> <place>…

Reads images.npz of the folder, uint8 or uint16 [N, H, W, C] each, and writes <name>.npz with the classes and the
probabilities. Packages are looked for in the places.
"""

import io
import sys
from pathlib import Path

OURS = ("deeplab_ksac", "caa", "car", "datasets", "scripts", "tests")


def run_saved_model(path, images):
    """Yields the outputs for each image; the signatures must agree."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    served = tf.saved_model.load(path)
    for image in images:
        outputs = served.signatures["probabilities"](image=tf.constant(image))
        found = [(outputs["classes"], served.signatures["serving_default"](image=tf.constant(image))["classes"])]
        if "png" in served.signatures:  # of RGB
            files = tf.stack([tf.io.encode_png(one) for one in image])
            found.append((outputs["classes"], served.signatures["serving_bytes"](image_bytes=files)["classes"]))
            pngs = served.signatures["png"](image_bytes=files)["png_bytes"].numpy()
            for one, png in zip(image, pngs, strict=True):  # alone, as there: in a batch sums may have another order
                alone = served.signatures["serving_default"](image=tf.constant(one[np.newaxis]))["classes"][0]
                found.append((alone, Image.open(io.BytesIO(png))))
        if not all(np.array_equal(one, other) for one, other in found):
            raise SystemExit("the signatures give different classes")
        yield {name: value.numpy() for name, value in outputs.items()}


def run_tflite(path, images):
    """Yields the outputs for each image."""
    import tensorflow as tf

    return run_interpreter(tf.lite.Interpreter(model_path=path), images)


def run_litert(path, images):
    """Yields the outputs for each image, by LiteRT's own package."""
    from ai_edge_litert.interpreter import Interpreter

    return run_interpreter(Interpreter(model_path=path), images)


def run_interpreter(interpreter, images):
    """Yields the outputs of an interpreter of TensorFlow Lite, or LiteRT, which is brought to each image's size."""
    index = interpreter.get_input_details()[0]["index"]
    for image in images:
        if tuple(interpreter.get_input_details()[0]["shape"]) != image.shape:
            interpreter.resize_tensor_input(index, image.shape)
        yield {name: value.copy() for name, value in interpreter.get_signature_runner()(image=image).items()}


def onnx_session(path):
    """An ONNX file, ready to run on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(path, images):
    """Yields the outputs for each image."""
    session = onnx_session(path)
    names = [output.name for output in session.get_outputs()]
    for image in images:
        yield dict(zip(names, session.run(names, {"image": image}), strict=True))


RUNNERS = {"saved_model": run_saved_model, "tflite": run_tflite, "litert": run_litert, "onnx": run_onnx}


def main(kind, path, folder, *places):
    """Runs the model at `path` on the folder's images."""
    sys.path[:] = places  # before anything is loaded that does not come with Python
    import numpy as np

    with np.load(Path(folder) / "images.npz") as images:
        images = dict(images)
    for name, outputs in zip(images, RUNNERS[kind](path, images.values()), strict=True):
        np.savez(Path(folder) / f"{name}.npz", **outputs)
    foreign = sorted({name.split(".")[0] for name in sys.modules} & set(OURS))
    if foreign:
        raise SystemExit(f"the model needs {', '.join(foreign)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
