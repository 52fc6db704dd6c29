"""The training script as its users call it."""

import os
import re
import subprocess
import sys

import pytest

from deeplab_ksac.experiment import part
from deeplab_ksac.models.loading import load
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.scripts import train
from tests.deeplab_ksac.training.tiny import convert
from tests.places import ROOT
from tests.scripts.parsing import flags_of
from tests.workers import by_tf_config

BLOCK = {"kernel_size": 3, "repeats": 1, "filters_out": 8, "expand_ratio": 1, "id_skip": True, "se_ratio": 0.0}
BLOCKS = tuple(  # without expansion and gates
    {**BLOCK, "filters_in": 8 if stage else 32, "strides": stride} for stage, stride in enumerate((1, 2, 2, 2, 1, 2, 1))
)
TINY_FLAGS = (
    "--config=scenes_ksac",
    "--config.stages[0].steps=2",
    "--config.stages[0].batch_size=4",
    "--config.stages[0].data.sources=('tiny/train',)",
    "--config.stages[0].data.crop_size=(33, 33)",
    "--config.evaluation.dataset=tiny/val",
    f"--config.model.backbone={{'name': 'efficientnet_b0', 'args': {{'blocks': {BLOCKS}}}}}",
    "--config.model.head.args.filters=8",
)
SMALL_LITE0 = ("--mode=train", "--config.model.backbone.args.width=0.1", "--config.model.backbone.args.depth=0.1")


def call(*arguments, **environment):
    command = [sys.executable, str(ROOT / "scripts/train.py"), *arguments]
    options = {"capture_output": True, "text": True, "timeout": 500, "check": False}
    return subprocess.run(command, env={**os.environ, **environment}, **options)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("data"))


def test_an_overridden_experiment_trains_on_two_replicas_and_resumes(data_dir, tmp_path):
    where = (f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--strategy=mirrored", "--cpu_replicas=2")
    done = call(*TINY_FLAGS, *where, "--deterministic")
    assert done.returncode == 0, done.stderr
    assert "scenes_ksac on 2 replica(s), float32" in done.stderr and "2/2 100%" in done.stderr
    assert done.stdout.startswith("mIoU 0.")
    assert "\nWARNING: after 2 updates at momentum 0.97 the moving averages" in done.stderr
    loaded = load_model(tmp_path)
    assert loaded.step == 2
    assert loaded.experiment.model.backbone == part("efficientnet_b0", blocks=BLOCKS)
    assert loaded.experiment.model.head.args["filters"] == 8
    assert loaded.experiment.stages[0].data.crop_size == (33, 33)
    again = call(*TINY_FLAGS, *where)
    assert again.returncode == 0 and again.stdout == f"{tmp_path} was already finished\n"


@pytest.mark.parametrize(
    "arguments, words",
    (
        (["--config=scenes_ksca"], "no experiment is named 'scenes_ksca'; did you mean 'scenes_ksac'?"),
        (["--config=scenes_ksac", "--config.model.output_strde=8"], 'Did you mean "output_stride"'),
        (["--config=scenes_ksac", "--config.seed=many"], "seed"),
        (["--workdir=x"], "--config must have a value"),
        (["--config=scenes_ksac", "--data_dir=nowhere", "--workdir={tmp_path}"], "no converted data set 'scenes'"),
    ),
)
def test_a_wrong_flag_is_said_in_words(arguments, words, tmp_path):
    done = call(*(argument.format(tmp_path=tmp_path) for argument in arguments))
    assert done.returncode != 0
    assert words in done.stderr + done.stdout and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def fine_tuned(data_dir, tmp_path_factory):
    """(what the command has ended with, its workdir) of a step of fine-tuning by a cluster of one worker."""
    workdir = tmp_path_factory.mktemp("fine") / "tuned"
    smaller = (*SMALL_LITE0, "--config.model.head.args.filters=8", "--config.stages[0].steps=1")
    where = (f"--workdir={workdir}", f"--data_dir={data_dir}", "--init_from=random", "--strategy=multi_worker")
    (cluster,) = by_tf_config(1)
    done = call("--config=finetune", "--data=tiny", *smaller, *where, **cluster)
    assert done.returncode == 0, done.stderr
    return done, workdir


def test_fine_tuning_prints_what_it_derives_from_the_pictures(fine_tuned):
    """Ten pictures of 36 to 38 by 40 or 41 pixels; what the command line sets is not said to be derived."""
    done, workdir = fine_tuned
    said = [line for line in done.stderr.splitlines() if line.startswith("--config.")]
    assert said == [
        "--config.stages[0].data.sources=tiny/train  (10 pictures)",
        "--config.evaluation.dataset=tiny/val  (3 pictures)",
        "--config.stages[0].data.crop_size=49,49  (pictures are about 37x40.5)",
        "--config.stages[0].data.scales=0.5,0.75,1.0,1.25,1.5  (pictures are about 37x40.5)",
        "--config.evaluation.views.scales=1.0  (as in training)",
        "--config.stages[0].batch_size=8  (10 pictures)",
        "--config.stages[0].optimizer.args.backbone_lr=1.0  (random weights)",
        "--config.model.norm.momentum=0.95  (400 steps)",
    ]
    assert "finetune_tiny on 1 replica(s)" in done.stderr and done.stdout.endswith("evaluates it\n")
    (stage,) = load_model(workdir).experiment.stages
    assert (stage.steps, stage.batch_size, stage.data.crop_size) == (1, 8, (49, 49))


@pytest.mark.parametrize(
    ("given", "start"),
    (
        ({"config": "finetune"}, "animals_ksac_lite0"),
        ({"config": "finetune", "init_from": "runs/a"}, "runs/a"),
        ({"config": "finetune", "init_from": "random"}, None),
        ({"config": "finetune", "backbone_weights": "lite0.safetensors"}, None),
        ({"config": "scenes_ksac"}, None),
        ({"config": "scenes_ksac", "init_from": "animals_ksac_lite0"}, "animals_ksac_lite0"),
    ),
)
def test_fine_tuning_alone_starts_from_the_network_of_this_package_unless_asked_otherwise(given, start):
    assert train.start_of(flags_of(train, **given)) == start


def test_fine_tuning_starts_from_the_network_of_this_package_on_any_devices(data_dir, tmp_path):
    """Devices are made ready before TensorFlow looks at the pictures: here replicas, elsewhere the memory of GPUs."""
    where = (f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--mode=train", "--config.stages[0].steps=1")
    done = call("--config=finetune", "--data=tiny", *where, "--strategy=mirrored", "--cpu_replicas=3")
    assert done.returncode == 0, done.stderr
    assert "finetune_tiny on 3 replica(s)" in done.stderr
    assert "--config.stages[0].batch_size=9  (10 pictures, 3 replicas)\n" in done.stderr
    assert "--init_from=animals_ksac_lite0  (a network that comes with this package)\n" in done.stderr
    assert re.search(
        r"layers have the weights of animals_ksac_lite0, step \d+; new are classifier; no class", done.stderr
    )
    assert load_model(tmp_path).experiment.model == load("animals_ksac_lite0").experiment.model


def test_fine_tuning_takes_the_model_of_the_run_that_it_starts_from(fine_tuned, data_dir, tmp_path):
    _, first = fine_tuned
    where = (f"--workdir={tmp_path}", f"--data_dir={data_dir}", "--mode=train", "--config.stages[0].steps=1")
    done = call("--config=finetune", "--data=tiny/val", f"--init_from={first}", *where)
    assert done.returncode == 0, done.stderr
    number = re.search(r"(\d+) of (\d+) layers have the weights", done.stderr)
    assert number and number[1] == number[2]
    spec = load_model(tmp_path).experiment.model
    assert spec == load_model(first).experiment.model and spec.head.args["filters"] == 8


@pytest.mark.parametrize(
    "arguments, words",
    (
        (["--config=finetune"], "--config=finetune and --data=<a converted data set> go together"),
        (["--config=scenes_ksac", "--data=tiny"], "--config=finetune and --data=<a converted data set> go together"),
        (["--config=finetune", "--data=tinny"], "no converted data set 'tinny'"),
        (["--config=finetune", "--data=tiny/trian"], "tiny has no split 'trian'; it has train, val"),
    ),
)
def test_fine_tuning_without_its_data_is_said_in_words(arguments, words, data_dir, tmp_path):
    done = call(*arguments, f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
