"""A data set that a file of one's own reads."""

import pytest

from deeplab_ksac import datasets
from deeplab_ksac.datasets.info import DatasetError, load_info
from deeplab_ksac.datasets.records import write_records
from tests.fakes import write_folder

OWN = """
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.raw import find_stems, read_mask, complete_examples

INFO = DatasetInfo("fields", ("ground", "wheat", "weed"), ((0, 0, 0), (200, 200, 0), (0, 200, 0)), {"train": 2})


def find_splits(root):
    return ("train",)


def examples(root, split):
    entries = [
        (stem, root / "images" / split / f"{stem}.jpg", root / "masks" / split / f"{stem}.png")
        for stem in find_stems(root / "images" / split, ".jpg")
    ]
    return complete_examples(entries, split, read_labels=read_mask)
"""


def test_a_source_of_ones_own_is_converted(tmp_path):
    raw, file = write_folder(tmp_path / "raw", {"train": 2}), tmp_path / "my_source.py"
    file.write_text(OWN)
    info = write_records(str(file), raw, tmp_path / "data", processes=1)
    assert (info.name, info.num_examples, info.class_names) == ("fields", {"train": 2}, ("ground", "wheat", "weed"))
    assert load_info("fields", tmp_path / "data") == info
    assert datasets.default_name(str(file)) == "fields"


@pytest.mark.parametrize("item", ("3", "{'id': 'a'}", "{'id': 3, 'image': 4, 'label': None}"))
def test_examples_of_another_form_are_one_line(item, tmp_path):
    raw, file = write_folder(tmp_path / "raw", {"train": 2}), tmp_path / "my_source.py"
    file.write_text(f"{OWN}\n\ndef examples(root, split):\n    return [{item}, {item}]\n")
    with pytest.raises(DatasetError, match=r"an example must be \{'id': text, 'image': path, 'l"):
        write_records(str(file), raw, tmp_path / "data", processes=1)


@pytest.mark.parametrize(
    "text, words",
    (
        (
            OWN.replace("def examples", "def pictures"),
            "my_source.py defines no examples; a source has INFO,",
        ),
        ("INFO = 3\nfind_splits = examples = None\n", "INFO of .*my_source.py must be a DatasetInfo, not int"),
        ("import nowhere_at_all\n", "my_source.py, line 1: ModuleNotFoundError"),
        (None, "my_source.py does not exist"),
    ),
)
def test_a_file_that_is_no_source_is_named(text, words, tmp_path):
    if text is not None:
        (tmp_path / "my_source.py").write_text(text)
    with pytest.raises(ValueError if text is None or "nowhere" in text else DatasetError, match=words):
        datasets.source(str(tmp_path / "my_source.py"))
