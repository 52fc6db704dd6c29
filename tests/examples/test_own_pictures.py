"""The notebook of one's own pictures runs from top to bottom, and what it gave stands in it."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.places import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook")
pytest.importorskip("nbclient", reason="needs the extra notebook")
pytest.importorskip("ipykernel", reason="needs the extra notebook")

from tests.examples import notebooks  # noqa: E402

NOTEBOOK = ROOT / "examples" / "own_pictures.ipynb"
SHORT = 'COUNTS = {"train": 2, "val": 1}\nSIZE = (49, 65)\nSTEPS = 1'
BARS = ("painting train: 100%", "writing val: 100%", "reading val: 100%", "stage 1/1: 100%")
PICTURES = 3  # contact sheet, curves, predictions


def checked(notebook):
    """Its text, of which what is told and shown was looked at."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    text = "".join(map(notebooks.text_of, cells))
    assert "Traceback" not in text and "WARNING:tensorflow" not in text
    for words in (*BARS, "have the weights of animals_ksac_lite0", "mIoU 0."):
        assert words in text
    pictures = [picture for cell in cells for picture in notebooks.pictures_of(cell)]
    assert len(pictures) == PICTURES
    for picture in pictures:
        assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).std() > 10
    return text


def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    checked(notebooks.executed(NOTEBOOK, tmp_path, SHORT))
    assert (tmp_path / "own_pictures" / "run" / "experiment.json").exists()


def test_what_it_gave_stands_in_it():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    text = checked(notebook)
    assert "\r" not in text and "/tmp/" not in text and "Warning" not in text
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(
        range(1, 1 + sum(cell.cell_type == "code" for cell in notebook.cells))
    )
