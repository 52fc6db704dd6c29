"""A run is saved, and the commands take what was saved in place of the run: by its folder, and by a name."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac import models, storage
from deeplab_ksac.experiment import Views, part
from deeplab_ksac.models.files import CARD_FILE, FILES, WEIGHTS_FILE
from deeplab_ksac.models.folder import save_model
from deeplab_ksac.models.places import find
from deeplab_ksac.scripts import evaluate, export, predict, save, submit, visualize
from deeplab_ksac.scripts.commandline import model as command_line_model
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests.deeplab_ksac.models.examples import FCN, trained_model
from tests.deeplab_ksac.runs.trained_run import trained_run
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.scripts.parsing import command_line, flags_among, flags_of
from tests.stores import ram


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run in `workdir`, and its model in `saved`, which is also known as "tiny_model"."""
    with trained_run(tmp_path_factory.mktemp("run")) as place, pytest.MonkeyPatch.context() as patch:
        (place / "card.md").write_text("# Snails\n", encoding="utf-8")
        flags = flags_of(save, workdir=place / "workdir", output=place / "saved", card=place / "card.md")
        assert save.run(flags) == 0
        patch.setitem(models.SHIPPED, "tiny_model", str(place / "saved"))
        yield place


def test_saving_tells_what_it_wrote(place, capsys):
    flags = flags_of(save, model="tiny_model", output=place / "half", dtype="float16", scales=(0.5, 1.0))
    assert save.run(flags) == 0
    assert capsys.readouterr().out == f"{place / 'half'} (0.0 MB, float16, step 7, scales 0.5, 1)\n"
    assert sorted(path.name for path in (place / "half").iterdir()) == sorted(FILES)
    assert (place / "half" / CARD_FILE).read_text(encoding="utf-8") == "# Snails\n"
    told = json.loads((place / "half" / "model.json").read_text(encoding="utf-8"))
    assert told["experiment"]["evaluation"]["views"]["scales"] == [0.5, 1.0]


OWN_HEAD = """
from deeplab_ksac.heads import FCNHead


class OwnHead(FCNHead):
    pass
"""


@pytest.mark.parametrize("is_stored", [False, True])
def test_the_size_that_is_told_is_that_of_all_files_the_models_own_code_too(is_stored, tmp_path, capsys):
    (tmp_path / "own.py").write_text(f"{OWN_HEAD}# {'x' * 300_000}\n")
    spec = dataclasses.replace(FCN, head=part(f"{tmp_path}/own.py:OwnHead", filters=4), bottleneck=None)
    with tiny_backbone_known(), ram() as address:
        source = save_model(trained_model(spec), tmp_path / "source")
        output = f"{address}/saved" if is_stored else str(tmp_path / "saved")
        assert save.run(flags_of(save, model=str(source), output=output, allow_code=True)) == 0
        assert {path.name for path in storage.place(output).rglob("*.*")} == {*FILES, "own.py"} - {CARD_FILE}
    assert capsys.readouterr().out == f"{output} (0.3 MB, float32, step 7, {Views().describe()})\n"


def predicted(place, tmp_path, name, **flags):
    images = str(place / "raw" / "images" / "val")
    assert predict.run(flags_of(predict, images=images, output_dir=str(tmp_path / name), **flags)) == 0
    return {path.name: np.asarray(Image.open(path)) for path in (tmp_path / name / "index").iterdir()}


def test_predictions_are_those_of_the_run(place, tmp_path):
    expected = predicted(place, tmp_path, "run", workdir=place / "workdir")
    for name, source in {
        "folder": str(place / "saved"),
        "name": "tiny_model",
        "of_run": str(place / "workdir"),
    }.items():
        found = predicted(place, tmp_path, name, model=source)
        assert set(found) == set(expected)
        for picture, classes in found.items():
            np.testing.assert_array_equal(classes, expected[picture])


def test_an_evaluation_is_that_of_the_run_and_goes_where_it_is_told(place, tmp_path):
    before = sorted((place / "saved").iterdir())
    assert evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=place / "data")) == 0
    output = tmp_path / "new" / "results"
    assert evaluate.run(flags_of(evaluate, model="tiny_model", data_dir=place / "data", output_dir=str(output))) == 0
    run, saved = (json.loads((folder / "eval_tiny_val.json").read_text()) for folder in (place / "workdir", output))
    assert run == saved and sorted((place / "saved").iterdir()) == before


def test_a_saved_model_is_exported_and_drawn(place, tmp_path):
    flags = {"scales": (1.0,), "flip": False, "average": "logits"}
    flags["warmup"] = ((9, 17),)
    assert export.run(flags_of(export, model=str(place / "saved"), output=tmp_path / "served", **flags)) == 0
    assert (tmp_path / "served" / "saved_model.pb").is_file()
    assert (tmp_path / "served" / "assets.extra" / "tf_serving_warmup_requests").is_file()
    sources = {"workdir": [str(place / "workdir")], "model": ["tiny_model"]}
    assert (
        visualize.run("predictions", flags_of(visualize, **sources, data_dir=place / "data", output_dir=str(tmp_path)))
        == 0
    )
    with np.load(tmp_path / "predictions_00000.npz") as arrays:
        np.testing.assert_array_equal(arrays["tiny_model"], arrays["workdir"])


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (evaluate, {"model": "tiny_model"}, "--output_dir must be given with --model=tiny_model, which is no training"),
        (
            evaluate,
            {"model": "tiny_model", "watch": True},
            "--watch evaluates the checkpoints of a training run; tiny_m",
        ),
        (
            predict,
            {"model": "tiny_model", "checkpoint": 7},
            "tiny_model is a saved model with one set of weights; checkpoint is for",
        ),
        (predict, {"model": "tiny_modle"}, "tiny_modle is neither a folder nor .*; did you mean 'tiny_model'"),
        (export, {"model": "hf://tiny"}, "'hf://tiny' is no model on the hub"),
        (
            export,
            {"model": "tiny_model", "format": "onnx", "warmup": ((9, 9),)},
            "--warmup is for --format=saved_model",
        ),
        (save, {"workdir": "nothing"}, "nothing holds no training run: experiment.json is missing"),
        (save, {"model": "tiny_model", "card": "nowhere.md"}, "nowhere.md"),
        (save, {"model": "tiny_model", "output": "{place}/workdir"}, "workdir exists; choose another folder"),
        (
            save,
            {"model": "tiny_model", "output": "{place}/workdir", "overwrite": True},
            "holds more than a saved model",
        ),
        (
            save,
            {"model": "{place}/saved", "output": "{place}/saved", "overwrite": True},
            "it is read itself; name anoth",
        ),
        (visualize, {"model": ["tiny_model"], "workdir": []}, "--output_dir must be given with --model=tiny_model"),
    ],
)
def test_what_does_not_go_together_is_one_line(module, flags, message, place, tmp_path, capsys):
    flags = {key: value.format(place=place) if isinstance(value, str) else value for key, value in flags.items()}
    where = {"images": str(place / "raw" / "images" / "val"), "output": str(tmp_path / "output"), "data_dir": "data"}
    where |= {} if module in (evaluate, visualize) else {"output_dir": str(tmp_path / "output")}
    where |= {"scales": (1.0,), "flip": False, "average": "logits"} if module is export else {}
    words = ("predictions",) if module is visualize else ()
    before = sorted(place.rglob("*"))
    assert exit_status(lambda: module.run(*words, flags_among(module, **{**where, **flags})), name="command") == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and message.split(".*")[0] in told and message.split(".*")[-1] in told
    assert sorted(place.rglob("*")) == before and not (tmp_path / "output").exists()


def test_curves_are_of_runs(place, tmp_path):
    with pytest.raises(ValueError, match="curves are drawn of training runs; tiny_model is a saved model"):
        visualize.run("curves", flags_of(visualize, workdir=[], model=["tiny_model"], output_dir=str(tmp_path)))


@pytest.mark.parametrize("module", (evaluate, predict, submit, export, save, visualize))
def test_a_command_takes_a_run_or_another_model(module):
    rest = {
        **{evaluate: ["--data_dir=x"], predict: ["--images=x", "--output_dir=x"], visualize: []},
        **{
            submit: ["--benchmark=voc2012", "--raw_dir=x", "--output=x.zip"],
            export: ["--output=x"],
            save: ["--output=x"],
        },
    }[module]
    name = module.__name__.rpartition(".")[2]
    for words in (["--workdir=x"], ["--model=x"]):
        with command_line(module, *rest, *words) as flags:
            assert bool(flags.workdir) != bool(flags.model)
    with pytest.raises(SystemExit) as ended, command_line(module, *rest):
        pass
    question = "--workdir or --model must have a value; which trained model is it to be?"
    assert ended.value.code == f"{name}: {question} With this package comes --model=animals_ksac_lite0"
    if module is not visualize:
        with pytest.raises(SystemExit) as ended, command_line(module, *rest, "--workdir=x", "--model=y"):
            pass
        assert ended.value.code == f"{name}: --workdir and --model name a trained model each; give one of them"


def test_a_page_is_of_the_model_of_this_package_where_none_is_named():
    with command_line(export, "--output=x", "--format=web") as flags:
        assert command_line_model.place(flags) == find("animals_ksac_lite0")


def test_a_damaged_model_is_one_line_in_every_command(place, tmp_path, capsys):
    shutil.copytree(place / "saved", tmp_path / "damaged")
    (tmp_path / "damaged" / WEIGHTS_FILE).write_bytes(b"")
    where = {
        "images": str(place / "raw" / "images" / "val"),
        "data_dir": place / "data",
        "scales": (1.0,),
        "flip": False,
    }
    where |= {"output_dir": str(tmp_path / "out"), "output": tmp_path / "out", "average": "logits"}
    for module in (evaluate, predict, export, save):
        flags = flags_among(module, model=str(tmp_path / "damaged"), **where)
        assert exit_status(lambda module=module, flags=flags: module.run(flags), name="command") == 1
        told = capsys.readouterr().err
        assert told.startswith(f"command: {tmp_path / 'damaged' / WEIGHTS_FILE} does not have the checksum")
        assert told.count("\n") == 1 and not (tmp_path / "out").exists()
