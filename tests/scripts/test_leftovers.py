"""What a killed command leaves is removed by the next start of the same command, and nothing else is."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import types

import pytest
import tensorflow as tf

from deeplab_ksac.datasets.info import dataset_dir
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments.claims import STUDIES
from deeplab_ksac.runs import study
from deeplab_ksac.scripts import benchmark, export, inspect_data, report, run_page, visualize
from deeplab_ksac.scripts.cases import Bound, Case, measuring
from deeplab_ksac.whole_files import partial_path, replaced_path
from tests.deeplab_ksac.runs.trained_run import trained_run
from tests.scripts.parsing import flags_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        line = {"stage": 0, "step": 1, "train/loss": 1.0}
        (place / "workdir" / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        yield place


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(ended.stdout)


def draw(folder, place):
    (folder / "run").symlink_to(place / "workdir")
    values = {"workdir": [str(folder / "run")], "output_dir": str(folder), "max_megapixels": 178}
    visualize.run("curves", flags_of(visualize, **values))


def inspect(folder, place):
    values = {"data_dir": str(place / "data"), "splits": ["val"], "samples": 1, "output": str(folder / "sheet.png")}
    inspect_data.inspect("tiny", flags_of(inspect_data, **values))


def page(folder, place):
    shutil.copytree(place / "workdir", folder, dirs_exist_ok=True)
    run_page.run(types.SimpleNamespace(workdir=str(folder)))


def write_report(folder, place):
    values = {"runs": [str(place / "workdir")], "tables": ["2.2"], "output": str(folder)}
    report.run(types.SimpleNamespace(**values))


def serve(folder, place, **flags):
    output = folder / ("served.onnx" if "format" in flags else "served")
    export.run(flags_of(export, workdir=place / "workdir", output=output, scales=(1.0,), flip=False, **flags))


def conclude(folder, place):
    """A study of one variant, whose training is done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STUDIES, "small", dict(itertools.islice(STUDIES["small"].items(), 1)))
        for trial in study.trials_of("small", folder, [3], steps=4):
            trial.folder.mkdir(parents=True)
            (trial.folder / "experiment.json").write_text(json.dumps(to_dict(trial.experiment)))
            (trial.folder / study.COST).write_text('{"processor_seconds": 60.0}')
            for split in study.evaluated_splits("small"):
                where = {"dataset": "scenes_small", "split": split.name, "scales": [1.0], "flip": False, "step": 4}
                figures = {"miou": 0.5, "class_names": list(scenes.THINGS), "iou": [0.5] * len(scenes.THINGS)}
                (trial.folder / f"eval_scenes_small_{split.name}.json").write_text(json.dumps({**where, **figures}))
        dataset_dir("scenes_small", folder / "data").mkdir(parents=True)
        study.run_studies(["small"], folder, seeds=[3], steps=4)


def measure(folder, place):
    case = Case("a test", {"a": lambda: lambda: 0.1, "b": lambda: lambda: 0.1}, (Bound("a", "b", 1.0),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "CASES", {"test": case})
        benchmark.run(flags_of(benchmark, rounds=1, processes=0, output=str(folder / "results.json")))


WRITERS = {  # command -> (what it writes, how)
    "report": (("report.md", "report.html", "curve_000_workdir.svg"), write_report),
    "run_page": (("index.html",), page),
    "visualize": (("curves.png", "curves.npz"), draw),
    "inspect": (("sheet.png", "sheet.json"), inspect),
    "export": (("served",), serve),
    "study": (("study.json", "study.md"), conclude),
    "benchmark": (("results.json",), measure),
}


@pytest.mark.parametrize("command", WRITERS)
def test_the_next_start_removes_what_a_killed_one_left(command, place, dead, tmp_path):
    names, write = WRITERS[command]
    ours = [partial_path(tmp_path / name) for name in names]
    left, living = (
        [path.with_name(path.name.replace(f".{os.getpid()}.", f".{number}.")) for path in ours]
        for number in (dead, os.getppid())
    )
    others = [path.with_name(f".another{path.name}") for path in left] + [
        tmp_path / f".{name}.elsewhere.{dead}.partial" for name in names
    ]
    for path in (*left, *living, *others):
        path.touch()
    write(tmp_path, place)
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in (*living, *others))
    assert all((tmp_path / name).exists() for name in names)


def test_a_model_that_a_killed_export_set_aside_is_not_lost(place, dead, tmp_path):
    serve(tmp_path, place)
    served = tmp_path / "served"
    aside = replaced_path(served)
    aside = aside.with_name(aside.name.replace(f".{os.getpid()}.", f".{dead}."))
    served.rename(aside)  # and a kill here: the new one is not in its place yet
    with pytest.raises(FileExistsError, match="served exists; choose another output"):
        serve(tmp_path, place)
    assert list(tf.saved_model.load(str(served)).signatures) and not aside.exists()
    shutil.copytree(served, aside)  # and a kill after both steps
    serve(tmp_path, place, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["served"]
