"""The page of a run: what lies in the folder stands on it, and nothing of it comes from elsewhere."""

import json
import re
import shutil
import subprocess
import types

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.scripts import run_page
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
    page = run_page.page(workdir)
    for text in ("mIoU <strong>50.00%</strong> at step 4", "&lt;b&gt;", "absent", "<svg"):
        assert text in page
    assert page.index("Predictions (Figs") < page.index("figures/predictions_0.png") < page.index("Conflicts of two")
    assert "Axial attention" not in page


def test_nothing_comes_from_a_network(workdir):
    page = run_page.page(workdir)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources and all((workdir / source).is_file() for source in sources)
    assert "prefers-color-scheme: dark" in page


def test_a_folder_without_figures_says_so(tmp_path):
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(EXPERIMENT)))
    assert "Nothing was measured or drawn" in run_page.page(tmp_path)


def test_the_script_refuses_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no experiment\.json"):
        run_page.run(types.SimpleNamespace(workdir=str(tmp_path)))


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_shows_it(workdir):
    target = workdir / "index.html"
    target.write_text(run_page.page(workdir), encoding="utf-8")
    shot = workdir / "shot.png"
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={shot}", "--window-size=800,1200")
    subprocess.run(["chromium", *options, target.as_uri()], check=True, capture_output=True, timeout=60)
    with Image.open(shot) as picture:
        colors = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colors) > 10 and [200, 200, 200] in colors.tolist()
