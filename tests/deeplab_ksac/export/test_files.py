"""TensorFlow Lite and ONNX files against the models they were written from."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa.pixels import attend_pixels
from deeplab_ksac.backbones.attention_windows import partition, split_heads, window_margins
from deeplab_ksac.backbones.convolutions import patch_conv
from deeplab_ksac.backbones.hrnet import RepeatPixels
from deeplab_ksac.experiment import Views
from deeplab_ksac.export import export_onnx, export_tflite, fresh
from deeplab_ksac.export.checking import rms, tolerance
from deeplab_ksac.export.onnx_file import pad_explicitly
from deeplab_ksac.export.tflite_file import operations_named
from deeplab_ksac.heads.ccnet import CrissCrossAttention
from deeplab_ksac.layers import ResizeLike, spatial_size
from deeplab_ksac.layers.pooling import adaptive_average_pool
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.export.heads import build_head_model
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images

SHAPES = ((2, 17, 23), (1, 33, 29), (1, 9, 5))  # of the last an atrous rate of 4 reaches beyond the map
VIEWS = Views((0.5, 1.0), flip=True)


@pytest.fixture(scope="module", params=["ksac", "caa", "self_attention"])
def model(request):
    return build_head_model(request.param)


def check_parity(model, runner, path, noise=None, shapes=SHAPES, views=Views()):
    """Differences (root mean square) from the model at every size, none above the derived tolerance."""
    images = [random_images(*shape).astype("uint8") for shape in shapes]
    found = []
    for image, outputs in zip(images, runner(str(path), images)):
        pixels = tf.cast(image, tf.float32)
        expected = scores.predict_probabilities(model, pixels, views).numpy()
        assert outputs["probabilities"].dtype == np.float32 and outputs["probabilities"].shape == expected.shape
        assert outputs["classes"].dtype == np.uint8
        np.testing.assert_array_equal(outputs["classes"], outputs["probabilities"].argmax(axis=-1))
        found.append(rms(outputs["probabilities"] - expected))
        assert found[-1] <= tolerance(model, scores.predict_logits(model, pixels).numpy(), noise)
        assert rms(expected - expected.mean(axis=(1, 2))[:, None, None]) > 1e-4  # there is something to see
    return found


def test_onnx_gives_what_the_model_gives(model, tmp_path):
    path = export_onnx(model, tmp_path / "model.onnx", info=fake_info(), check=False)
    opsets = {opset.domain: opset.version for opset in pytest.importorskip("onnx").load(path).opset_import}
    assert opsets[""] == 17  # as the documents say
    check_parity(model, fresh.run_onnx, path)


@pytest.fixture(scope="module")
def tflite_files(model, tmp_path_factory):
    """The model's files: whole and quantized."""
    folder = tmp_path_factory.mktemp("tflite")
    return [
        export_tflite(model, folder / f"{quantize}.tflite", info=fake_info(), check=False, quantize=quantize)
        for quantize in (False, True)
    ]


def test_litert_gives_what_the_model_gives(model, tflite_files):
    pytest.importorskip("ai_edge_litert")
    for path, noise in zip(tflite_files, (None, "dynamic_range"), strict=True):
        check_parity(model, fresh.run_litert, path, noise)


def test_tflite_gives_what_the_model_gives_whole_and_quantized(model, tflite_files):
    whole, rounded = tflite_files
    assert {path.read_bytes()[4:8] for path in tflite_files} == {b"TFL3"}  # as the documents say
    assert max(check_parity(model, fresh.run_tflite, whole)) < 1e-5
    assert min(check_parity(model, fresh.run_tflite, rounded, "dynamic_range")) > 1e-5  # it is rounded
    assert rounded.stat().st_size < whole.stat().st_size - 3 * 9 * 8 * 64  # a byte, not four, for each of the largest


def test_rates_that_are_found_for_each_picture_are_so_in_tensorflow_lite(tmp_path):
    model = build_head_model("experimental_ksac_dynamic")
    path = export_tflite(model, tmp_path / "a.tflite", info=fake_info(), check=False)
    assert max(check_parity(model, fresh.run_tflite, path)) < 1e-5


def test_a_file_holds_scales_and_flip_and_its_classes(tmp_path):
    model = build_head_model("self_attention")
    for write, runner, name in ((export_onnx, fresh.run_onnx, "a.onnx"), (export_tflite, fresh.run_tflite, "a.tflite")):
        path = write(model, tmp_path / "new" / name, info=fake_info(), views=VIEWS, check=False)
        check_parity(model, runner, path, views=VIEWS)
        assert "class 4" in path.with_suffix(".classes.json").read_text(encoding="utf-8")
    assert len(list((tmp_path / "new").iterdir())) == 3


def build_patch_model():
    """A model of patches of 4 × 4 pixels, of which the last are completed by zeros."""
    keras.utils.set_random_seed(0)
    image = keras.Input([None, None, 3], name="image")
    features = patch_conv(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image), 8, 4, "stem", "pad")
    logits = keras.layers.Conv2D(5, 1, name="classifier")(features)
    return keras.Model(image, {"logits": ResizeLike(dtype="float32")([logits, image])})


def build_repeating_model():
    """A model whose coarse map comes to the image's size as in HRNet: each pixel 4 × 4 times."""
    keras.utils.set_random_seed(0)
    image = keras.Input([None, None, 3], name="image")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    coarse = keras.layers.Conv2D(5, 4, 4, padding="same", name="classifier")(pixels)
    return keras.Model(image, {"logits": RepeatPixels(4, dtype="float32")([coarse, image])})


def build_criss_cross_model():
    """A model whose pixels attend to their columns and rows."""
    keras.utils.set_random_seed(0)
    image = keras.Input([None, None, 3], name="image")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    features = keras.layers.Conv2D(8, 4, 4, padding="same", name="stem")(pixels)
    logits = keras.layers.Conv2D(5, 1, name="classifier")(CrissCrossAttention(4)(features))
    return keras.Model(image, {"logits": ResizeLike(dtype="float32")([logits, image])})


@pytest.mark.parametrize("build", [build_patch_model, build_repeating_model, build_criss_cross_model])
@pytest.mark.parametrize(
    ("write", "runner", "name"),
    [(export_onnx, fresh.run_onnx, "a.onnx"), (export_tflite, fresh.run_tflite, "a.tflite")],
)
def test_patches_repeated_pixels_and_criss_cross_attention_work_at_any_size(write, runner, name, build, tmp_path):
    model = build()
    check_parity(model, runner, write(model, tmp_path / name, info=fake_info(), check=False))


def converted(function, *specs):
    """An ONNX session of a function of tensors."""
    tf2onnx, onnxruntime = pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    made = tf2onnx.convert.from_function(tf.function(function), input_signature=specs, opset=17)[0]
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda *values: session.run(None, dict(zip(names, values, strict=True)))


@pytest.mark.parametrize("bins", [2, 3])
def test_onnx_pools_the_regions_of_a_map_as_the_model_does(bins):
    run = converted(lambda x: adaptive_average_pool(x, bins), tf.TensorSpec([None, None, None, 2], name="map"))
    for height, width in ((1, 2), (4, 5), (6, 7)):
        features = np.random.default_rng(height).normal(size=(1, height, width, 2)).astype("float32")
        edges = [[(k * n // bins, math.ceil((k + 1) * n / bins)) for k in range(bins)] for n in (height, width)]
        expected = [[features[0, a:b, c:d].mean(axis=(0, 1)) for c, d in edges[1]] for a, b in edges[0]]
        np.testing.assert_allclose(run(features)[0][0], expected, atol=1e-6)


def test_onnx_rounds_the_windows_of_a_map_as_python_does():
    run = converted(lambda size: window_margins(size, 7, 3), tf.TensorSpec([], tf.int32, name="size"))
    for size in range(1, 30):
        before = 0 if size <= 7 else 4
        after = next(n for n in range(7) if (before + size + n) % 7 == 0)
        assert run(np.asarray(size, np.int32)) == [before, after]


def test_onnx_cuts_windows_into_heads_of_any_map():
    def heads_of(x):
        margins = tuple(window_margins(side, 3, 1) for side in spatial_size(x))
        return split_heads(partition(x, margins, 3), 1, 2)

    run = converted(heads_of, tf.TensorSpec([None, None, None, 4], tf.float32, name="x"))
    for size in ((4, 6), (5, 10)):
        x = np.random.default_rng(0).normal(size=(2, *size, 4)).astype("float32")
        np.testing.assert_array_equal(run(x)[0], heads_of(tf.constant(x))[0])


def test_onnx_attends_in_parts_that_do_not_divide_the_pixels():
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 2, 35, 3)).astype("float32")
    value = rng.normal(size=(2, 35, 4)).astype("float32")
    specs = [tf.TensorSpec([None, None, depth], tf.float32, name=name) for name, depth in zip("qkv", (3, 3, 4))]
    attend = functools.partial(attend_pixels, map_bytes=16 * 35 * 4)  # 16 of the 35 at a time
    energy = np.exp(np.einsum("nid,njd->nij", query, key))
    expected = np.einsum("nij,njc->nic", energy / energy.sum(axis=-1, keepdims=True), value)
    found = converted(lambda q, k, v: attend(q, k, v), *specs)(query, key, value)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # sums of 35 products of numbers of size 1


def test_tflite_of_one_size_takes_that_size_alone(tmp_path):
    model = build_fake_model()
    path = export_tflite(model, tmp_path / "a.tflite", info=fake_info(), check=False, size=(9, 14))
    check_parity(model, fresh.run_tflite, path, shapes=((1, 9, 14),))
    details = tf.lite.Interpreter(model_path=str(path)).get_input_details()[0]
    np.testing.assert_array_equal(details["shape_signature"], [1, 9, 14, 3])


@pytest.mark.parametrize("rates", [(2, 3), (1, 4)])
def test_explicit_padding_is_tensorflows_same(rates, tmp_path):
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 2, 2, 4)).astype("float32")  # an even side: the padding is not symmetric
    weights = onnx.numpy_helper.from_array(kernel.transpose(3, 2, 0, 1).copy(), "w")
    node = onnx.helper.make_node(
        "Conv", ["image", "w"], ["y"], name="conv", auto_pad="SAME_UPPER", dilations=rates, kernel_shape=[3, 2]
    )
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "g", [value("image", 1, [1, 2, 7, 9])], [value("y", 1, [1, 4, 7, 9])], [weights]
    )
    pad_explicitly(graph)
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "conv.onnx").write_bytes(made.SerializeToString())
    image = rng.normal(size=(1, 7, 9, 2)).astype("float32")
    (outputs,) = fresh.run_onnx(str(tmp_path / "conv.onnx"), [image.transpose(0, 3, 1, 2)])
    expected = tf.nn.conv2d(image, kernel, 1, "SAME", dilations=rates)
    # sums of 12 products of numbers of size 1
    np.testing.assert_allclose(outputs["y"].transpose(0, 2, 3, 1), expected, rtol=0, atol=12 * 12 * 2**-24)
    node.attribute.append(onnx.helper.make_attribute("auto_pad", "SAME_UPPER"))
    del graph.node[:]
    graph.node.append(node)
    graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [2, 2]))
    with pytest.raises(ValueError, match="conv has an atrous rate, a stride and SAME padding"):
        pad_explicitly(graph)


def test_operations_that_tflite_has_not_are_named(tmp_path, monkeypatch):
    model = build_fake_model()
    monkeypatch.setattr(scores, "most_likely", lambda averaged: tf.cast(tf.math.digamma(averaged[..., 0]), tf.uint8))
    with pytest.raises(ValueError, match=r"^TensorFlow Lite has no Digamma, which this model needs") as raised:
        export_tflite(model, tmp_path / "a.tflite", info=fake_info())
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())
    assert operations_named("x\nTF Select ops: Angle, Lgamma\nDetails:") == "Angle, Lgamma"
    assert operations_named("'tf.TensorListReserve' op requires") == "TensorListReserve"


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [(export_onnx, "a.onnx", "export it as saved_model"), (export_tflite, "a.tflite", "TensorFlow Lite has no")],
)
def test_a_sliding_window_is_refused_in_one_line(write, name, message, tmp_path):
    with pytest.raises(ValueError, match=message) as raised:
        write(build_fake_model(), tmp_path / name, info=fake_info(), views=Views(window=9))
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())


def test_a_missing_package_and_a_wrong_suffix_are_one_line(tmp_path, monkeypatch):
    model = build_fake_model()
    with pytest.raises(ValueError, match=r"model must end in \.tflite"):
        export_tflite(model, tmp_path / "model", info=fake_info())
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    with pytest.raises(OSError, match=r"tf2onnx, which is not installed: pip install 'deeplab-ksac\[onnx\]'"):
        export_onnx(model, tmp_path / "model.onnx", info=fake_info())
    assert not list(tmp_path.iterdir())
