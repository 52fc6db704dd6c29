"""No output takes the place of an input."""

import pytest

from deeplab_ksac.overwriting import check_inputs_stay


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    return tmp_path / "photos" / "a.png"


def test_an_output_that_is_an_input_or_holds_one_is_refused(photo):
    for output in (photo, photo.parent, photo.parent.parent):
        with pytest.raises(FileExistsError, match=f"{output} cannot be written to: it .*read.*name another place"):
            check_inputs_stay([photo], ["elsewhere", output])


def test_links_do_not_hide_it(photo, tmp_path):
    (tmp_path / "link").symlink_to(photo.parent)
    (tmp_path / "file").symlink_to(photo)
    for inputs, output in (([photo], tmp_path / "link"), ([tmp_path / "file"], photo.parent), ([photo], "file")):
        output = tmp_path / output
        with pytest.raises(FileExistsError):
            check_inputs_stay(inputs, [output])


def test_files_beside_the_inputs_and_below_folders_that_are_read_are_free(photo, tmp_path):
    check_inputs_stay([photo], [photo.parent / "index", photo.with_name("b.png"), tmp_path / "no" / "such"])
    check_inputs_stay([photo.parent], [photo.parent / "index"])
