"""The SavedModel against the model it was written from, in a process that has none of this project's code."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import Views
from deeplab_ksac.export import check_output, export_saved_model
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images

SERVE = """
import sys
import numpy as np
import tensorflow as tf
server = tf.saved_model.load(sys.argv[1])
for name in sys.argv[2:]:
    image = np.load(name)
    by_signature = server.signatures["probabilities"](image=tf.constant(image))
    by_default = server.signatures["serving_default"](image=tf.constant(image))
    directly = server(tf.constant(image))
    assert set(by_default) == {"classes"}
    np.testing.assert_array_equal(by_default["classes"], directly["classes"])
    for key, value in by_signature.items():
        np.testing.assert_array_equal(value, directly[key])
    np.savez(name + ".npz", **{key: value.numpy() for key, value in by_signature.items()})
ours = ("deeplab_ksac", "caa", "car", "scripts", "tests")
foreign = [name for name in sys.modules if name.split(".")[0] in ours]
assert not foreign, foreign
"""


@pytest.mark.parametrize(
    "views",
    [Views(), Views((0.5, 1.0, 1.25), flip=True), Views(flip=True, window=9, pad_to=(16, 9), average="probabilities")],
)
def test_a_process_without_this_code_serves_any_size_like_the_model(tmp_path, views):
    model = build_fake_model()
    path = export_saved_model(model, tmp_path / "served", info=fake_info(), views=views, check=False)
    images = {}
    for shape in ((1, 9, 14), (3, 20, 11)):
        images[tmp_path / f"{shape[1]}.npy"] = random_images(*shape).astype("uint8")
    for name, image in images.items():
        np.save(name, image)
    command = [sys.executable, "-I", "-c", SERVE, str(path), *map(str, images)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=120)
    for name, image in images.items():
        served = np.load(f"{name}.npz")
        expected = scores.predict_probabilities(model, image.astype("float32"), views).numpy()
        assert served["classes"].dtype == np.uint8 and served["classes"].shape == image.shape[:3]
        assert served["probabilities"].dtype == np.float32
        np.testing.assert_allclose(served["probabilities"], expected, atol=1e-6)  # float32 of numbers up to 1
        np.testing.assert_array_equal(served["classes"], served["probabilities"].argmax(axis=-1))


def test_class_names_and_colors_lie_beside_the_model(tmp_path):
    path = export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info(), check=False)
    told = json.loads((path / "assets.extra" / "classes.json").read_text(encoding="utf-8"))
    assert told["num_classes"] == 5
    assert told["class_names"] == list(fake_info().class_names)
    assert told["colors"] == [list(color) for color in fake_info().colors]


def test_only_variables_are_tracked(tmp_path):
    model = build_fake_model()
    path = export_saved_model(model, tmp_path / "served", info=fake_info(), check=False)
    names = {name.split("/")[0] for name, _ in tf.train.list_variables(f"{path}/variables/variables")}
    assert names == {"served_variables", "_CHECKPOINTABLE_OBJECT_GRAPH"}


def test_an_existing_path_is_kept_unless_told_otherwise(tmp_path):
    path = export_saved_model(build_fake_model(seed=1), tmp_path / "served", info=fake_info(), check=False)
    before = (path / "saved_model.pb").read_bytes()
    with pytest.raises(FileExistsError, match="exists"):
        export_saved_model(build_fake_model(seed=2), path, info=fake_info())
    assert (path / "saved_model.pb").read_bytes() == before
    second = build_fake_model(seed=2)
    export_saved_model(second, path, info=fake_info(), overwrite=True, check=False)
    image = random_images(1, 8, 8)
    served = tf.saved_model.load(str(path))(tf.constant(image, tf.uint8))["probabilities"]
    np.testing.assert_allclose(served, scores.predict_probabilities(second, image), atol=1e-6)
    assert [entry.name for entry in tmp_path.iterdir()] == ["served"]


def test_what_is_not_a_saved_model_is_never_overwritten(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(FileExistsError, match="not a SavedModel"):
        export_saved_model(build_fake_model(), tmp_path, info=fake_info(), overwrite=True)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"dear"


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info())
    assert not list(tmp_path.iterdir())


def test_another_number_of_classes_than_the_data_sets_is_refused(tmp_path):
    with pytest.raises(ValueError, match="5 classes, but fake has 7"):
        export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info(7))


def test_encoded_files_are_decoded_inside(tmp_path):
    path = export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info(), check=False)
    served = tf.saved_model.load(str(path))
    pictures = random_images(2, 9, 14).astype("uint8")
    jpeg, png = tf.io.encode_jpeg(pictures[0]), tf.io.encode_png(pictures[1])
    decoded = tf.stack([tf.io.decode_jpeg(jpeg, dct_method="INTEGER_ACCURATE"), pictures[1]])
    classes = served.signatures["serving_bytes"](image_bytes=tf.stack([jpeg, png]))["classes"]
    np.testing.assert_array_equal(classes, served(decoded)["classes"])
    gray = served.signatures["serving_bytes"](image_bytes=tf.stack([tf.io.encode_png(pictures[0, :, :, :1])]))
    np.testing.assert_array_equal(gray["classes"], served(pictures[:1, :, :, :1].repeat(3, -1))["classes"])
    other = tf.io.encode_png(pictures[0, :8])
    with pytest.raises(tf.errors.InvalidArgumentError):
        served.signatures["serving_bytes"](image_bytes=tf.stack([png, other]))


OF_OTHER_RANK = """
import sys
import numpy as np
import tensorflow as tf
graph, session = tf.Graph(), None
with graph.as_default(), tf.compat.v1.Session() as session:
    meta = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
    for name in ("serving_default", "probabilities"):
        signature = meta.signature_def[name]
        image, classes = (
            graph.get_tensor_by_name(info.name)._as_tf_output()
            for info in (signature.inputs["image"], signature.outputs["classes"])
        )
        session._extend_graph()

        def run(values):
            return session._call_tf_sessionrun(None, {image: values}, [classes], [], None)[0]

        assert run(np.zeros([1, 9, 9, 3], np.uint8)).shape == (1, 9, 9)
        for shape in ([9, 9, 3], [9, 9], [1, 9, 9, 4], [1, 1, 9, 9, 3]):
            try:
                run(np.zeros(shape, np.uint8))
            except tf.errors.InvalidArgumentError:
                continue
            raise SystemExit(f"{name} takes {shape}")
print("served on")
"""


def test_a_request_of_another_rank_is_an_error_and_the_server_lives_on(tmp_path):
    """The inner call of a session checks no shape, as a server does not."""
    path = export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info(), check=False)
    ended = subprocess.run(
        [sys.executable, "-c", OF_OTHER_RANK, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "served on\n"), ended.stderr[-2000:]


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_folder_is_not_named_as_a_file_of_another_form(tmp_path, suffix):
    output = tmp_path / f"a.{suffix}"
    for refused in (
        lambda: check_output("saved_model", output),
        lambda: export_saved_model(build_fake_model(), output, info=fake_info(), check=False),
    ):
        with pytest.raises(ValueError, match=rf"a\.{suffix} would be the folder of a SavedModel; .* --format={suffix}"):
            refused()
    assert not list(tmp_path.iterdir())
