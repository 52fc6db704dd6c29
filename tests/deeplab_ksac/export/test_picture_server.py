"""Picture files in, index PNGs out: each of its own size, whatever else is in the request."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.framework.tensor_pb2 import TensorProto

from deeplab_ksac.export import export_saved_model
from deeplab_ksac.export.picture_server import PictureServer
from deeplab_ksac.prediction import scores
from tests import fakes
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info

SIZES = ((19, 33), (40, 21), (9, 9), (1, 1))


def file_of(picture, form="png", **options):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


PICTURES = [fakes.picture(seed, size) for seed, size in enumerate(SIZES)]
PNG, JPEG = file_of(PICTURES[0]), file_of(PICTURES[0], "jpeg")
BROKEN = {
    "nothing": b"",
    "a text": b"hello",
    "another form": file_of(PICTURES[0], "gif"),
    "png, its beginning": PNG[:12],
    "png, half of it": PNG[: len(PNG) // 2],
    "png, a byte of its pixels": PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:],
    "jpeg, its beginning": JPEG[:12],
    "jpeg, half of it": JPEG[: len(JPEG) // 2],
    "sixteen bits, all dark": file_of(np.full(SIZES[0], 4095, np.uint16)),
    "no pixels": PNG[:16] + bytes(8) + PNG[24:],
}


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


@pytest.fixture(scope="module")
def server(model):
    return PictureServer(model, fake_info(), max_pixels=1000)


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    """(the exported model, its folder)."""
    path = export_saved_model(
        model, tmp_path_factory.mktemp("served") / "1", info=fake_info(), check=False, warmup=[(9, 17)]
    )
    return tf.saved_model.load(str(path)), path


def expected(model, picture):
    """What prediction finds in one picture."""
    return scores.predict_classes(lambda image: model(image, training=False), picture[np.newaxis].astype("float32"))[0]


def opened(png):
    """A PNG's mode, values and colors."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return image.mode, np.asarray(image), image.getpalette()


def test_pictures_of_several_sizes_come_back_as_index_pngs_of_theirs(model, served):
    files = [file_of(picture) for picture in PICTURES]
    found = served[0].signatures["png"](image_bytes=tf.constant(files))
    assert found["error"].numpy().tolist() == [b""] * len(files)
    for picture, png in zip(PICTURES, found["png_bytes"].numpy(), strict=True):
        mode, classes, palette = opened(png)
        np.testing.assert_array_equal(classes, expected(model, picture))
        assert mode == "P" and palette[:15] == [value for color in fake_info().colors for value in color]
    assert served[0].signatures["png"](image_bytes=tf.zeros([0], tf.string))["png_bytes"].shape == (0,)


def test_a_broken_picture_is_told_and_the_others_are_as_without_it(model, server):
    good = file_of(PICTURES[1])
    files = [content for broken in BROKEN.values() for content in (broken, good)]
    found = server.png(tf.constant(files))
    pngs, errors = (found[name].numpy().reshape(-1, 2) for name in ("png_bytes", "error"))
    for name, png, error in zip(BROKEN, pngs, errors, strict=True):
        assert png[0] == b"" and error[0] != b"" and error[1] == b"", name
        np.testing.assert_array_equal(opened(png[1])[1], expected(model, PICTURES[1]), name)
    told = dict(zip(BROKEN, errors[:, 0], strict=True))
    assert told["nothing"] == told["a text"] == told["another form"] == b"neither a JPEG nor a PNG file"
    assert b"damaged, or 16 bits" in told["png, half of it"] and b"16 bits" in told["sixteen bits, all dark"]


def test_a_session_gives_the_same_as_a_server_has_one(served):
    """TensorFlow Serving runs a signature's graph in a session of its own."""
    loaded, path = served
    files = np.array([*BROKEN.values(), *map(file_of, PICTURES)], object)
    expected = loaded.signatures["png"](image_bytes=tf.constant(files))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        asked = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["png"]
        fetched = {key: output.name for key, output in asked.outputs.items()}
        found = session.run(fetched, {asked.inputs["image_bytes"].name: files})
    for name in ("png_bytes", "error"):
        assert found[name].tolist() == expected[name].numpy().tolist()


def test_more_pixels_than_are_allowed_are_not_decoded(server):
    for form in ("png", "jpeg"):
        files = [file_of(np.zeros([40, 26, 3], np.uint8), form), file_of(np.zeros([40, 25, 3], np.uint8), form)]
        found = server.png(tf.constant(files))
        assert found["error"].numpy().tolist() == [b"1040 pixels, more than the 1000 that are served", b""]


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_turning_by_exif_is_an_option(model, served, form):
    tags = Image.Exif()
    tags[0x0112] = 6  # the first row is the right-hand side
    content = file_of(PICTURES[0], form, exif=tags)
    with Image.open(io.BytesIO(content)) as image:
        stored = np.asarray(image)
    for name, shown in {"png": np.rot90(stored, -1), "png_as_stored": stored}.items():
        found = served[0].signatures[name](image_bytes=tf.constant([content]))["png_bytes"].numpy()
        np.testing.assert_array_equal(opened(found[0])[1], expected(model, shown))


def test_the_classes_can_be_asked_for(served):
    loaded, path = served
    told = loaded.signatures["class_list"](request=tf.constant(["", "x"]))["class_list"].numpy()
    expected = json.loads((path / "assets.extra" / "classes.json").read_text(encoding="utf-8"))
    assert [json.loads(one) for one in told] == [expected, expected]


def test_what_is_written_to_warm_up_with_are_requests_of_the_asked_size(served):
    """The field numbers are those of TensorFlow Serving's prediction_log.proto."""
    loaded, path = served
    records = list(tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(records) == 2
    inputs = {}
    for record in records:
        (request,) = fields(fields(record.numpy())[6][0])[1]
        spec, (entry,) = fields(fields(request)[1][0]), fields(request)[2]
        name, tensor = (values[0] for _, values in sorted(fields(entry).items()))
        proto = TensorProto.FromString(tensor)
        inputs[spec[3][0].decode()] = {name.decode(): tf.constant(tf.make_ndarray(proto))}
    assert inputs["serving_default"]["image"].shape == (1, 9, 17, 3)
    assert loaded.signatures["serving_default"](**inputs["serving_default"])["classes"].shape == (1, 9, 17)
    found = loaded.signatures["png"](**inputs["png"])
    assert opened(found["png_bytes"].numpy()[0])[1].shape == (9, 17) and found["error"].numpy()[0] == b""


def fields(message):
    """{number: values} of a message whose fields are all messages, strings or whole numbers."""
    found, rest = {}, list(message)
    while rest:
        key, value = varint(rest), varint(rest)
        if key & 7 == 2:
            rest, value = rest[value:], bytes(rest[:value])
        found.setdefault(key >> 3, []).append(value)
    return found


def varint(digits):
    """The whole number at the beginning of a list of bytes, which loses it."""
    digit = digits.pop(0)
    return digit if digit < 128 else digit - 128 + 128 * varint(digits)
