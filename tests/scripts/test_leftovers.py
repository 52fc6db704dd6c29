"""What a killed command leaves is removed by the next start of the same command, and nothing else is."""

import json
import os
import shutil
import subprocess
import sys
import types

import pytest
import tensorflow as tf

from deeplab_ksac.scripts import export, inspect_data, report, run_page, visualize
from deeplab_ksac.whole_files import partial_path, replaced_path
from tests.deeplab_ksac.runs.trained_run import trained_run
from tests.scripts.parsing import flags_of
from tests.scripts.test_trained_run import given


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
    output = folder / ("served.onnx" if flags else "served")
    export.run(given(workdir=place / "workdir", output=output, scales=(1.0,), flip=False, **flags))


WRITERS = {  # command -> (what it writes, how)
    "report": (("report.md", "report.html", "curve_000_workdir.svg"), write_report),
    "run_page": (("index.html",), page),
    "visualize": (("curves.png", "curves.npz"), draw),
    "inspect": (("sheet.png", "sheet.json"), inspect),
    "export": (("served",), serve),
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
    export.run(
        given(workdir=place / "workdir", output=served, scales=(1.0,), flip=False, overwrite=True),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["served"]
