"""The page of a run: what lies in the folder stands on it, and nothing of it comes from elsewhere."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.runs.figures import FIGURES
from deeplab_ksac.runs.run_page import TITLES, run_page, write_run_page
from tests.deeplab_ksac.training.tiny import EXPERIMENT


@pytest.fixture
def workdir(tmp_path):
    """A run's folder with an evaluation, curves and two figures."""
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(EXPERIMENT)))
    evaluation = {"dataset": "tiny", "split": "val", "step": 4, "scales": [1.0], "flip": False, "miou": 0.5}
    classes = {"class_names": ["a", "<b>"], "iou": [0.5, None]}
    (tmp_path / "eval_tiny_val.json").write_text(json.dumps({**evaluation, **classes}))
    lines = [{"stage": 0, "step": step, "train/loss": 1 / step} for step in (1, 2, 4)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "figures").mkdir()
    for name in ("attention_conflict_run_0", "predictions_0"):
        Image.fromarray(np.full((8, 9, 3), 200, np.uint8)).save(tmp_path / "figures" / f"{name}.png")
    return tmp_path


def test_everything_in_the_folder_stands_on_the_page_under_its_heading(workdir):
    page = run_page(workdir)
    for text in ("mIoU <strong>50.00%</strong> at step 4", "&lt;b&gt;", "absent", "<svg"):
        assert text in page
    assert page.index("Predictions (Figs") < page.index("figures/predictions_0.png") < page.index("Conflicts of two")
    assert "Axial attention" not in page


def test_nothing_comes_from_a_network(workdir):
    page = run_page(workdir)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources and all((workdir / source).is_file() for source in sources)
    assert "prefers-color-scheme: dark" in page


def test_a_folder_without_figures_says_so(tmp_path):
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(EXPERIMENT)))
    assert "This run has no evaluations or figures" in run_page(tmp_path)


def test_a_confusion_matrix_is_no_prediction(workdir):
    for name in ("eval_tiny_val_confusion", "eval_tiny_val", "figures/confusion_run"):
        Image.fromarray(np.full((8, 9, 3), 200, np.uint8)).save(workdir / f"{name}.png")
    page = run_page(workdir)
    places = ("Image, truth, prediction", '"eval_tiny_val.png"', "Predictions (Figs", "Confusion matrix")
    places = [page.index(text) for text in (*places, '"eval_tiny_val_confusion.png"', '"figures/confusion_run.png"')]
    assert places == sorted(places)
    (workdir / "eval_tiny_val.png").unlink()
    assert "Image, truth, prediction" not in run_page(workdir)


def test_links_lead_to_their_files_whatever_they_are_called(workdir):
    name = 'predictions_50%25 #1?&"x".png'
    Image.fromarray(np.full((8, 9, 3), 200, np.uint8)).save(workdir / "figures" / name)
    sources = [html.unescape(source) for source in re.findall(r'src="([^"]+)"', run_page(workdir))]
    assert not any(set("#?") & set(source) for source in sources)
    assert name in [pathlib.Path(urllib.parse.unquote(source)).name for source in sources]


def test_evaluations_that_differ_have_headings_of_their_own(workdir):
    content = json.loads((workdir / "eval_tiny_val.json").read_text())
    (workdir / "eval_tiny_val_window.json").write_text(json.dumps({**content, "window": [33, 33]}))
    page = run_page(workdir)
    assert "<h2>tiny/val</h2>" in page and "<h2>tiny/val, window 33x33</h2>" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_shows_it(workdir):
    target = workdir / "index.html"
    target.write_text(run_page(workdir), encoding="utf-8")
    shot = workdir / "shot.png"
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={shot}", "--window-size=800,1200")
    subprocess.run(["chromium", *options, target.as_uri()], check=True, capture_output=True, timeout=60)
    with Image.open(shot) as picture:
        colors = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colors) > 10 and [200, 200, 200] in colors.tolist()


def test_every_figure_has_a_heading():
    assert list(TITLES) == list(FIGURES)


def test_names_that_are_no_utf8_stand_on_the_page_and_lead_to_their_files(workdir):
    run = workdir.rename(workdir.with_name(os.fsdecode(b"run \xff")))
    figure = run / "figures" / os.fsdecode(b"predictions_\xff.png")
    (run / "figures/predictions_0.png").rename(figure)
    page = write_run_page(run).read_text(encoding="utf-8")
    sources = [html.unescape(source) for source in re.findall(r'src="([^"]+)"', page)]
    assert os.fsencode(figure.relative_to(run)) in map(urllib.parse.unquote_to_bytes, sources)
    assert r"run \udcff" in page and r"predictions_\udcff" in page
