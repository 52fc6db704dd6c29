"""Files in 8 bits: TensorFlow Lite and ONNX, beside the model whose ranges were measured on pictures."""

import errno
import resource

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.export import export_onnx, export_tflite, fresh, rounding
from deeplab_ksac.export.checking import check_classes, rms, tolerance
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.export.heads import build_head_model
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images

PICTURES = [random_images(1, *size, seed=seed)[0].astype("uint8") for seed, size in enumerate([(17, 23), (33, 29)])]
WRITERS = {"tflite": export_tflite, "onnx": export_onnx}


@pytest.mark.parametrize(("form", "build"), [("tflite", lambda: build_head_model("ksac")), ("onnx", build_fake_model)])
def test_a_file_in_8_bits_takes_any_size_and_gives_the_models_classes(form, build, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    model, path = build(), tmp_path / f"a.{form}"
    WRITERS[form](model, path, info=fake_info(), check=False, quantize="int8", representative=PICTURES)
    assert [file.name for file in tmp_path.iterdir() if file != path] == ["a.classes.json"]
    images = [*(picture[np.newaxis] for picture in PICTURES), random_images(2, 19, 21).astype("uint8")]
    for image, outputs in zip(images, fresh.RUNNERS[form](str(path), images), strict=True):
        assert outputs["classes"].dtype == np.uint8 and outputs["classes"].shape == image.shape[:3]
        assert ("probabilities" in outputs) == (form == "onnx")
        expected = scores.predict_classes(model, tf.cast(image, tf.float32)).numpy()
        assert len(np.unique(expected)) > 1
        assert np.mean(outputs["classes"] == expected) > 0.9
    assert has_weights_by_channel(path)


def has_weights_by_channel(path):
    """Whether a kernel of 8 bits of a file has a scale for each of several channels."""
    if path.suffix == ".tflite":
        details = tf.lite.Interpreter(model_path=str(path)).get_tensor_details()
        return any(len(one["quantization_parameters"]["scales"]) > 1 for one in details if one["dtype"] == np.int8)
    graph = pytest.importorskip("onnx").load(path).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored]
    return any(list(stored[node.input[1]].dims) not in ([], [1]) for node in nodes)


def test_float16_is_what_weights_are_stored_in(tmp_path):
    model = build_head_model("self_attention")
    path = export_tflite(model, tmp_path / "a.tflite", info=fake_info(), check=False, quantize="float16")
    details = tf.lite.Interpreter(model_path=str(path)).get_tensor_details()
    stored = sum(np.prod(one["shape"]) for one in details if one["dtype"] == np.float16)
    assert stored > 0.9 * sum(weight.shape.num_elements() for weight in model.weights if len(weight.shape) > 1)
    image = random_images(2, 17, 23).astype("uint8")
    found = next(fresh.run_tflite(str(path), [image]))["probabilities"]
    expected = scores.predict_probabilities(model, tf.cast(image, tf.float32)).numpy()
    logits = scores.predict_logits(model, tf.cast(image, tf.float32)).numpy()
    assert 0 < rms(found - expected) <= tolerance(model, logits, "float16")


def test_the_check_tells_a_file_of_another_model(tmp_path):
    model, path = build_fake_model(), tmp_path / "a.tflite"
    written = {"info": fake_info(), "quantize": "int8", "representative": PICTURES, "size": (17, 23)}
    export_tflite(model, path, **written)  # checks
    classifier = model.get_layer("classifier")
    classifier.set_weights([-100 * value for value in classifier.get_weights()])
    with pytest.raises(ValueError, match=r"differs from the model in the classes of .*%; it was removed"):
        check_classes(path, model, kind="tflite", pictures=PICTURES, size=(17, 23))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int4"}, "quantize must be one of dynamic_range, float16, int8 for tflite, not 'int4'"),
        ({"quantize": "int8"}, "int8 needs representative pictures"),
        ({"quantize": "int8", "representative": []}, "there are no representative pictures"),
        (
            {"quantize": "int8", "representative": iter(PICTURES)},
            "only once as a list_iterator, .*, so give a list or the like",
        ),
        (
            {"quantize": "int8", "representative": [PICTURES[0] / 255]},
            r"must be uint8 \[H, W, 3\], not float64 \[17, 23, 3\]",
        ),
        ({"quantize": "int8", "representative": [PICTURES[0][0]]}, r"must be uint8 \[H, W, 3\], not uint8 \[23, 3\]"),
        ({"representative": PICTURES}, "representative pictures are for int8, not for float32"),
    ],
)
def test_what_does_not_go_together_is_one_line(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_tflite(build_fake_model(), tmp_path / "a.tflite", info=fake_info(), **options)
    assert not list(tmp_path.iterdir())
    if "representative" in options:
        with pytest.raises(ValueError, match=message):
            export_onnx(build_fake_model(), tmp_path / "a.onnx", info=fake_info(), **options)
        assert not list(tmp_path.iterdir())


def test_no_pictures_of_a_size_are_no_pictures(tmp_path):
    options = {"quantize": "int8", "representative": [], "size": (17, 23)}
    with pytest.raises(ValueError, match="there are no representative pictures"):
        export_tflite(build_fake_model(), tmp_path / "a.tflite", info=fake_info(), **options)
    assert not list(tmp_path.iterdir())


class Files:
    """Pictures that are read when they are needed, of which the last is gone."""

    def __iter__(self):
        yield PICTURES[0]
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "photo.jpg")


@pytest.mark.parametrize("form", WRITERS)
def test_a_picture_that_cannot_be_read_is_named_and_not_the_file_that_is_written(form, tmp_path):
    with pytest.raises(ValueError) as raised:
        WRITERS[form](
            build_fake_model(), tmp_path / f"a.{form}", info=fake_info(), quantize="int8", representative=Files()
        )
    assert str(raised.value) == "a representative picture cannot be read: photo.jpg: No such file or directory"
    assert not list(tmp_path.iterdir())


def test_true_is_dynamic_range_as_it_was():
    assert rounding.chosen(True, "tflite", None) == "dynamic_range"
    assert rounding.chosen(False, "tflite", None) is None


@pytest.mark.parametrize("form", WRITERS)
def test_a_full_disk_leaves_nothing_and_is_one_line(form, tmp_path):
    model = build_fake_model()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as if the disk were full
    try:
        with pytest.raises((OSError, tf.errors.OpError)) as raised:
            WRITERS[form](model, tmp_path / f"a.{form}", info=fake_info(), quantize="int8", representative=PICTURES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
    assert "\n" not in str(raised.value)
