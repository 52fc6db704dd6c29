"""A folder of images of every kind through a real model: what is written, what is named, what stops."""

import numpy as np
import pytest
from PIL import Image

from scripts import predict
from deeplab_ksac import visualization
from deeplab_ksac.inference import Predictor
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images


@pytest.fixture(scope="module")
def predictor():
    return Predictor(build_fake_model())


def opened(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def test_each_image_gets_index_color_and_overlay_at_its_own_size(tmp_path, predictor):
    info, paths = fake_info(), []
    for number, size in enumerate([(9, 14), (20, 11)]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(random_images(1, *size)[0].astype("uint8")).save(paths[-1])
    assert predict.predict_files(predictor, info, paths, tmp_path / "out", opacity=0.25) == {}
    for path, size in zip(paths, [(9, 14), (20, 11)]):
        image = random_images(1, *size)[0]
        classes = predictor(image)
        mode, index = opened(tmp_path / "out" / "index" / path.name)
        assert mode == "P"
        np.testing.assert_array_equal(index, classes)
        _, color = opened(tmp_path / "out" / "color" / path.name)
        np.testing.assert_array_equal(color, visualization.colorize(classes, info.colors))
        _, overlay = opened(tmp_path / "out" / "overlay" / path.name)
        np.testing.assert_array_equal(overlay, visualization.overlay(image, classes, info.colors, 0.25))


def test_an_unreadable_image_is_named_and_the_rest_is_predicted(tmp_path, predictor):
    for name in ("a.png", "c.png"):
        Image.fromarray(random_images(1, 8, 8)[0].astype("uint8")).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "gone.png")]
    failures = predict.predict_files(predictor, fake_info(), paths, tmp_path / "out")
    assert set(failures) == {tmp_path / "b.png", tmp_path / "gone.png"}
    assert all(reason and "\n" not in reason for reason in failures.values())
    for kind in predict.KINDS:
        assert sorted(path.name for path in (tmp_path / "out" / kind).iterdir()) == ["a.png", "c.png"]


def test_images_of_one_name_in_two_folders_are_both_kept(tmp_path, predictor):
    paths = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    for path in paths:
        path.parent.mkdir()
        Image.fromarray(random_images(1, 8, 8)[0].astype("uint8")).save(path)
    assert predict.predict_files(predictor, fake_info(), paths, tmp_path / "out") == {}
    assert sorted(path.name for path in (tmp_path / "out" / "index").iterdir()) == ["x_a.png", "y_a.png"]


def test_a_fault_of_the_program_is_not_taken_for_an_unreadable_image(tmp_path):
    Image.fromarray(random_images(1, 8, 8)[0].astype("uint8")).save(tmp_path / "a.png")
    with pytest.raises(ZeroDivisionError):
        predict.predict_files(lambda image: 1 // 0, fake_info(), [tmp_path / "a.png"], tmp_path / "out")


def test_an_output_folder_that_holds_predictions_is_refused_unless_told(tmp_path):
    predict.check_output(tmp_path / "new", overwrite=False)
    (tmp_path / "index").mkdir()
    predict.check_output(tmp_path, overwrite=False)
    (tmp_path / "index" / "a.png").touch()
    with pytest.raises(FileExistsError, match="already holds predictions"):
        predict.check_output(tmp_path, overwrite=False)
    predict.check_output(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match="not a folder"):
        predict.check_output(tmp_path / "index" / "a.png", overwrite=True)
