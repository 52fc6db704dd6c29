"""Whatever a run's JSON files hold, a command ends with its status and one line, and nothing half is left."""

import contextlib
import functools
import io
import json
import pathlib
import shutil
import tempfile
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.datasets import submissions
from deeplab_ksac.datasets.info import INFO_FILE, dataset_dir, is_converted, save_info
from deeplab_ksac.experiment import to_dict
from deeplab_ksac.runs.workdir import claim_workdir
from deeplab_ksac.scripts import (
    convert,
    evaluate,
    export,
    inspect_data,
    predict,
    report,
    run_page,
    save,
    submit,
    train,
    visualize,
)
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests import fakes
from tests.datasets.test_submissions import SMALL_CITYSCAPES, write_cityscapes
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.runs import trained_run as trained
from tests.deeplab_ksac.training.tiny import EXPERIMENT
from tests.scripts.damage import FEW, ended, files_of
from tests.scripts.parsing import flags_of
from tests.scripts.test_convert import DEFAULTS
from tests.scripts.test_damaged_metadata import OF_TRAINING

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400), st.just("\x1b[31m\n")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EVALUATION = {"dataset": "tiny", "split": "val", "step": 4, "scales": [1.0], "flip": False, "miou": 0.5, "stage": 0}
EVALUATION |= {"iou": [0.5, None, 0.1], "class_names": ["a", "b", "c"], "window": None, "average": "logits"}
METRICS = {"stage": 0, "step": 1, "train/loss": 1.0, "eval/miou": 0.5}
BEST = {"stage": 0, "step": 4, "miou": 0.5, "images": 3}
RIGHT = {"experiment.json": to_dict(EXPERIMENT), "eval_tiny_val.json": EVALUATION, "metrics.jsonl": METRICS}
RIGHT |= {"best/best.json": BEST}


def places(value, path=()):
    """The paths of all values in a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(value, path, new):
    """The value with another one at a path; without what is there for `new` None and a field's name."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@functools.cache
def right_info():
    """What a run's segmentation.json holds."""
    with tempfile.TemporaryDirectory() as folder:
        save_info(fake_info(3), folder)
        return json.loads((pathlib.Path(folder) / INFO_FILE).read_text(encoding="utf-8"))


@st.composite
def damaged(draw):
    """(name of a file, what it holds)."""
    name = draw(st.sampled_from([*RIGHT, INFO_FILE]))
    return name, draw(damaged_object(RIGHT.get(name) or right_info()))


@st.composite
def damaged_object(draw, right):
    """What is in place of an object's JSON."""
    kind = draw(st.sampled_from(["value", "field", "bytes", "cut"]))
    content = json.dumps(right).encode()
    if kind == "value":
        content = json.dumps(changed(right, draw(st.sampled_from(list(places(right)))), draw(VALUES))).encode()
    elif kind == "field":
        content = json.dumps({**right, draw(st.text(max_size=8)): draw(VALUES)}).encode()
    elif kind == "bytes":
        content = draw(st.binary(max_size=20))
    else:
        content = content[: draw(st.integers(0, len(content)))]
    return content


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    claim_workdir(folder, EXPERIMENT, fake_info(3))
    (folder / "eval_tiny_val.json").write_text(json.dumps(EVALUATION))
    (folder / "metrics.jsonl").write_text('{"stage": 0, "step": 1}\n')  # nothing that is drawn, which takes long
    (folder / "best").mkdir()
    (folder / "best" / "best.json").write_text(json.dumps(BEST))
    return folder


def flags_for(command, run, folder, checkpoint):
    """The flags of a command that reads the run and would write below the folder."""
    picture, output = str(folder / "a.png"), str(folder / "output")
    of_a_model = {"workdir": str(run), "checkpoint": checkpoint}
    values = {
        report: {"runs": [str(run)], "tables": ["2.2", "4.1"], "output": output},
        run_page: {"workdir": str(run)},
        evaluate: {**of_a_model, "data_dir": str(folder), "sheet": 0},
        predict: {**of_a_model, "images": picture, "output_dir": output, "kinds": ["index"]},
        export: {**of_a_model, "output": output},
        save: {**of_a_model, "output": output},
        submit: {**of_a_model, "benchmark": "cityscapes", "raw_dir": str(folder / "test"), "output": f"{output}.zip"},
        visualize: {"workdir": [str(run)], "checkpoint": checkpoint, "images": picture, "output_dir": output},
    }
    return flags_of(command, **values[command])


COMMANDS = {  # how many are tried: (module, examples)
    "report": (report, 40),
    "run_page": (run_page, 40),
    **{module.__name__.rpartition(".")[2]: (module, 20) for module in (evaluate, predict, export, save, submit)},
    "visualize": (visualize, 20),
}
OF_A_DATA_SET = {"evaluate": 8, "inspect": 15, "train": 5}  # how many are tried


SETTINGS = FEW


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_file_of_a_run_is_one_line(command, workdir, tmp_path, monkeypatch):
    monkeypatch.setitem(submissions.SUBMISSIONS, "cityscapes", SMALL_CITYSCAPES)
    module, examples = COMMANDS[command]
    write_cityscapes(tmp_path / "test")
    (tmp_path / "a.png").touch()

    @settings(SETTINGS, max_examples=examples)
    @given(damaged())
    def check(file):
        one_line_of(command, module, file, workdir, tmp_path)

    check()


def one_line_of(command, module, file, workdir, tmp_path):
    """Runs the command on the run with this file, and looks at how it ends."""
    run, output = tmp_path / "run", tmp_path / "output"
    for folder in (run, output):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workdir, run)
    (run / file[0]).write_bytes(file[1])
    before = sorted(run.iterdir())
    flags = flags_for(module, run, tmp_path, "best" if file[0] == "best/best.json" else "newest")
    work = (lambda: module.run("predictions", flags)) if module is visualize else (lambda: module.run(flags))
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = exit_status(work, name=command)
    text = said.getvalue()
    if status == 1:
        assert text.startswith(f"{command}: ") and text.count("\n") == 1 and text[:-1].isprintable()
        assert not [path for path in output.rglob("*") if path.is_file()] and sorted(run.iterdir()) == before
        assert not (tmp_path / "output.zip").exists()
    else:
        assert status == 0 and command in ("report", "run_page")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained.trained_run(tmp_path_factory.mktemp("trained")) as place:
        yield place


def of_data(command, place, data):
    """The work of a command on a data folder."""
    if command == "evaluate":
        flags = {"workdir": str(place / "workdir"), "data_dir": str(data), "sheet": 0}
        return lambda: evaluate.run(flags_of(evaluate, **flags))
    if command == "inspect":
        flags = {"data_dir": str(data), "splits": ["val"], "samples": 0, "output": str(data / "sheet.png")}
        return lambda: inspect_data.inspect("tiny", flags_of(inspect_data, **flags))
    flags = {"data_dir": str(data), "workdir": str(data / "run"), **OF_TRAINING}
    return lambda: train.train(trained.EXPERIMENT, flags_of(train, **flags))


@pytest.mark.parametrize("command", OF_A_DATA_SET)
def test_damaged_metadata_of_a_data_set_are_one_line(command, place, tmp_path):
    folder = tmp_path / "data"
    right = json.loads((dataset_dir("tiny", place / "data") / "segmentation.json").read_text())

    @settings(SETTINGS, max_examples=OF_A_DATA_SET[command])
    @given(damaged_object(right))
    def check(content):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / "data", folder)
        path = dataset_dir("tiny", folder) / "segmentation.json"
        path.write_bytes(content)
        before = files_of(place / "workdir")
        status, _ = ended(of_data(command, place, folder), command)
        if status == 1:
            assert files_of(place / "workdir") == before and not (folder / "sheet.png").exists()
            assert not list(folder.rglob("*.seal")) and path.read_bytes() == content

    check()


@settings(SETTINGS, max_examples=15)
@given(st.data())
def test_a_damaged_data_set_is_replaced_only_where_that_is_asked_for(tmp_path, data):
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    raw = tmp_path / "raw"
    if not raw.exists():
        fakes.write_folder(raw, {"train": 1})
    flags = {**DEFAULTS, "dataset": ["folder"], "raw_dir": [str(raw)], "data_dir": str(tmp_path / "data")}
    assert convert.run(types.SimpleNamespace(**flags)) == 0
    path = dataset_dir("folder", tmp_path / "data") / "segmentation.json"
    right = path.read_bytes()
    path.write_bytes(data.draw(damaged_object(json.loads(right))))
    before = files_of(tmp_path)
    status, lines = ended(lambda: convert.run(types.SimpleNamespace(**flags)), "convert")
    assert status == 1 and "--overwrite" in lines[0] and files_of(tmp_path) == before
    assert convert.run(types.SimpleNamespace(**{**flags, "overwrite": True})) == 0
    assert is_converted("folder", tmp_path / "data") and path.read_bytes() == right


@settings(SETTINGS, max_examples=5)
@given(damaged_object(to_dict(trained.EXPERIMENT)))
def test_a_run_is_not_started_from_one_whose_experiment_is_damaged(place, tmp_path, content):
    for folder in ("source", "run"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    shutil.copytree(place / "workdir", tmp_path / "source")
    (tmp_path / "source" / "experiment.json").write_bytes(content)
    flags = {**OF_TRAINING, "data_dir": str(place / "data"), "workdir": str(tmp_path / "run")}
    given_flags = flags_of(train, **{**flags, "init_from": str(tmp_path / "source")})
    status, _ = ended(lambda: train.train(trained.EXPERIMENT, given_flags), "train")
    assert (tmp_path / "run").exists() == (status == 0)


@settings(SETTINGS, max_examples=5)
@given(damaged_object(to_dict(trained.EXPERIMENT)))
def test_a_run_whose_experiment_is_damaged_is_not_continued(place, tmp_path, content):
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    shutil.copytree(place / "workdir", tmp_path / "run")
    (tmp_path / "run" / "experiment.json").write_bytes(content)
    before = files_of(tmp_path)
    flags = flags_of(train, **{**OF_TRAINING, "data_dir": str(place / "data"), "workdir": str(tmp_path / "run")})
    status, _ = ended(lambda: train.train(trained.EXPERIMENT, flags), "train")
    assert status == 0 or files_of(tmp_path) == before
