"""Training runs from beginning to end, through interruptions and stages, and as they fail."""

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import batch_filenames, eval_batches
from deeplab_ksac.datasets.records import shard_files, write_records
from deeplab_ksac.experiment import Data, EvalSpec, Views, part
from deeplab_ksac.experiments.common import with_car
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.figures.colors import colorize
from deeplab_ksac.models.loading import load
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.images import find_images
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.prediction.scores import predict_classes
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import best_path
from deeplab_ksac.runs.checkpoint_files import reading
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model, restore_weights
from deeplab_ksac.runs.evaluation import RunEvaluation
from deeplab_ksac.runs.workdir import claim_workdir, read_metrics, read_workdir
from deeplab_ksac.storage import place
from deeplab_ksac.storage.copies import on_this_machine
from deeplab_ksac.training import loop, strategy
from deeplab_ksac.training.interruption import RestartError, StopRequest
from deeplab_ksac.training.stage import StageRun
from deeplab_ksac.whole_files import write_whole
from tests.deeplab_ksac.tiny_backbone import tiny_backbone, tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert, with_steps
from tests.replicas import two_replicas
from tests.stores import STORES


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data"))


def train(experiment, data_dir, workdir, **options):
    keras.utils.set_random_seed(experiment.seed)
    return loop.train(
        experiment, data_dir=data_dir, workdir=workdir, strategy=strategy.create_strategy("one_device"), **options
    )


# All that has a state of its own: dropout, moving averages of the weights, moving centers of the classes. Two terms: of
# three or more, TensorFlow adds in any order unless operations are made deterministic.
STATEFUL = with_car(
    dataclasses.replace(
        EXPERIMENT,
        model=dataclasses.replace(EXPERIMENT.model, bottleneck={"filters": 4, "kernel_size": 1, "dropout": 0.3}),
        stages=(dataclasses.replace(EXPERIMENT.stages[0], ema_decay=0.5, l2=0.0),),
        checkpoint_every=3,
    ),
    moving_average=0.9,
    terms=("inter_c2p",),
)


@pytest.fixture(scope="module")
def straight(data_dir, tmp_path_factory):
    """The folder of a run without an interruption."""
    workdir = tmp_path_factory.mktemp("straight")
    train(STATEFUL, data_dir, workdir, deterministic=True)
    return workdir


def assert_equal_runs(found, expected):
    """All that two runs saved and logged is equal, but for times."""
    saved = []
    for workdir in (found, expected):
        with reading(checkpoint_path(workdir)) as path:
            saved.append({name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)})
    assert set(saved[0]) == set(saved[1])
    for name, value in saved[1].items():
        np.testing.assert_array_equal(saved[0][name], value, err_msg=name)
    kept = ("stage", "step", "train/loss", "train/learning_rate", "eval/miou")
    lines = [[{key: line.get(key) for key in kept} for line in read_metrics(workdir)] for workdir in (found, expected)]
    assert lines[0] == lines[1]
    tags = [logged_tags(workdir) for workdir in (found, expected)]
    assert tags[0] == tags[1] and len(tags[0]) == len(set(tags[0]))


def logged_tags(workdir):
    """(step, tag) of all events of the first stage."""
    found = []
    for path in (workdir / "stage_0").glob("events*"):
        with on_this_machine(path) as here:
            for event in tf.compat.v1.train.summary_iterator(str(here)):
                found += [(event.step, value.tag) for value in event.summary.value]
    return sorted(found)


def test_a_run_learns_and_leaves_all_that_is_needed(data_dir, tmp_path):
    quick = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("adam", learning_rate=0.1), steps=30)
    experiment = dataclasses.replace(EXPERIMENT, stages=(quick,), log_every=10)
    figures = train(experiment, data_dir, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert losses[-1] < 0.9 * np.log(3)  # of guessing among three classes
    assert [line["step"] for line in lines] == [10, 20, 30, 30]
    assert 0 <= lines[0]["train/data_wait"] <= 1 and lines[0]["train/images_per_second"] > 0
    assert lines[-1]["eval/miou"] == pytest.approx(figures["miou"])
    loaded = load_model(tmp_path / "run")
    assert (loaded.step, loaded.stage, loaded.info.class_names) == (30, 0, ("class0", "class1", "class2"))
    assert loaded.experiment == experiment
    events = [str(path) for path in (tmp_path / "run/stage_0").glob("events*")]
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(events[0]) for value in event.summary.value}
    assert {"train/loss", "train/l2", "train/learning_rate", "eval/miou", "pictures/0"} <= tags


class InterruptionError(Exception):
    pass


class InterruptingProgress(loop.SilentProgress):
    """Stops the run at its fourth report."""

    def __init__(self, total, label, start=0):
        self.reports = 0

    def update(self, n=1, **shown):
        self.reports += bool(shown)
        if self.reports == 4:
            raise InterruptionError


def test_an_interrupted_run_goes_on_to_the_same_end(straight, data_dir, tmp_path):
    with pytest.raises(InterruptionError):
        train(STATEFUL, data_dir, tmp_path, progress=InterruptingProgress)
    assert load_model(tmp_path).step == 3
    train(STATEFUL, data_dir, tmp_path)
    assert_equal_runs(tmp_path, straight)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]
    assert {"train/class_aware/inter_c2p", "train/class_aware/center_similarity"} <= set(lines[3])


def test_a_finished_run_is_left_as_it_is(straight, data_dir, tmp_path):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert train(STATEFUL, data_dir, tmp_path) is None
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_a_stage_starts_from_the_weights_of_the_one_before(data_dir, tmp_path):
    still = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e-30), steps=1)
    averaged = dataclasses.replace(EXPERIMENT.stages[0], ema_decay=0.9)
    experiment = dataclasses.replace(EXPERIMENT, stages=(averaged, still))
    train(experiment, data_dir, tmp_path)
    first, second = (load_model(tmp_path, stage=stage).model for stage in (0, 1))
    averages = [weight.numpy() for weight in first.trainable_weights]
    restore_weights(first, checkpoint_path(tmp_path, stage=0), averaged=False)
    for before, after in zip(first.trainable_weights, second.trainable_weights):
        np.testing.assert_array_equal(before.numpy(), after.numpy())
    assert any(not np.array_equal(w.numpy(), a) for w, a in zip(first.trainable_weights, averages))


def test_moving_centers_go_on_where_the_stage_before_has_left_them(data_dir, tmp_path):
    slow = with_car(EXPERIMENT, moving_average=1 - 1e-6, terms=("inter_c2p",))
    train(with_steps(slow, 1, 1), data_dir, tmp_path, evaluates=False)
    paths = [checkpoint_path(tmp_path, stage=stage) for stage in (0, 1)]
    first, second = (tf.train.load_variable(path, "objective/0/.ATTRIBUTES/VARIABLE_VALUE") for path in paths)
    assert first.any()
    np.testing.assert_allclose(second, first, atol=1e-4)


def test_a_run_goes_on_in_its_own_precision(straight, data_dir, tmp_path):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "starts.jsonl").read_text()
    for precision in ("mixed_bfloat16", "mixed_float16"):
        keras.mixed_precision.set_global_policy(precision)
        try:
            with pytest.raises(ValueError, match=rf"of precision float32, not {precision}; .* --precision=float32"):
                train(STATEFUL, data_dir, tmp_path)
        finally:
            keras.mixed_precision.set_global_policy("float32")
    assert (tmp_path / "starts.jsonl").read_text() == before


def test_a_run_can_start_from_another_ones_weights(straight, data_dir, tmp_path):
    still = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e-30), steps=1)
    experiment = dataclasses.replace(STATEFUL, stages=(still,), seed=5)
    train(experiment, data_dir, tmp_path, init_from=straight, evaluates=False)
    before, after = (load_model(workdir).model.trainable_weights for workdir in (straight, tmp_path))
    for first, second in zip(before, after):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_another_configuration_is_refused_with_the_difference(data_dir, tmp_path):
    claim_workdir(tmp_path, with_steps(EXPERIMENT, 1), load_info("tiny", data_dir))
    with pytest.raises(ValueError, match=r"stages\[0\].steps: 1 -> 2.*remove this one, which has no checkpoint yet"):
        train(with_steps(EXPERIMENT, 2), data_dir, tmp_path)


@pytest.mark.parametrize(
    ("calm_steps", "steps_per_call", "saved"),
    # a warm-up from 0 of n + 1 steps first moves the weights at the step of index 1
    ((0, 1, []), (1, 1, [2]), (1, 7, [2])),
)
def test_a_nan_stops_the_run_with_step_term_and_files(calm_steps, steps_per_call, saved, data_dir, tmp_path):
    wild = dataclasses.replace(
        EXPERIMENT.stages[0],
        optimizer=part("sgd", learning_rate=1e30),
        schedule=part("constant", warmup_steps=2 * calm_steps),
        steps=20,
        steps_per_call=steps_per_call,
    )
    with pytest.raises(loop.DivergenceError) as caught:
        train(dataclasses.replace(EXPERIMENT, stages=(wild,), log_every=100), data_dir, tmp_path)
    words = str(caught.value)
    step = 1 + calm_steps  # the loss after the first weights of order 1e30
    names = batch_filenames(("tiny/train",), data_dir=data_dir, batch_size=4, seed=0, step=step)
    assert f"at step {step} of stage 0" in words
    assert all(name in words for name in names) and "cross_entropy/logits is " in words
    assert seals.whole_steps(tmp_path / "stage_0") == saved
    assert [line["step"] for line in read_metrics(tmp_path)] == []


def test_what_a_later_stage_or_the_evaluation_lacks_is_said_before_the_first_step(data_dir, tmp_path):
    later = dataclasses.replace(EXPERIMENT.stages[0], data=Data(sources=("more/train",)))
    for experiment, words in (
        (dataclasses.replace(EXPERIMENT, stages=(*EXPERIMENT.stages, later)), "no converted data set 'more'"),
        (dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("tiny/test")), "tiny has no split 'test'"),
    ):
        with pytest.raises(ValueError, match=words):
            train(experiment, data_dir, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_built_is_said_before_the_first_step_and_leaves_no_run(data_dir, tmp_path):
    later = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", momentum=2.0))
    scheduled = dataclasses.replace(EXPERIMENT.stages[0], schedule=part("poly", power=-1.0))
    model = dataclasses.replace(EXPERIMENT.model, head=part("fcn", filters=-1))
    for changes, words in (
        ({"stages": (*EXPERIMENT.stages, later)}, r"^stages\[1\].optimizer: momentum must be"),
        ({"stages": (*EXPERIMENT.stages, scheduled)}, r"^stages\[1\].schedule: power must be"),
        ({"model": model}, r"^model.head: filters must be"),
        ({"losses": (part("dice"), part("focal", gama=1))}, r"^losses\[1\]: 'focal' takes no 'gama'"),
        ({"losses": (part("dice", output="depth"),)}, r"^losses\[0\]: output must be one of "),
        (
            {"losses": (part("dice", output="features"),)},
            r"^losses\[0\]: output must be one of logits, .* not 'features'",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            train(dataclasses.replace(EXPERIMENT, **changes), data_dir, tmp_path / "run")
        assert not (tmp_path / "run" / "experiment.json").exists()
        assert not list(tmp_path.glob("run/stage_*"))


def changed(**changes):
    return dataclasses.replace(EXPERIMENT.stages[0], **changes)


def with_data(**changes):
    return changed(data=dataclasses.replace(EXPERIMENT.stages[0].data, **changes))


def brighter(example, seed, most=0.5):
    return example


def tiny_with_shared_layer(output_stride=16, *, norm=None):
    model = tiny_backbone(output_stride)
    again = model.get_layer("c5")(model.output["c5"])
    return keras.Model(model.input, {**model.output, "c5": again})


IN_TWO = (  # that two replicas cannot take
    (changed(batch_size=5), r"\.batch_size: 5 examples cannot be shared evenly by 2 replicas; take a multiple of 2"),
    (
        changed(batch_size=6, accumulate=2),
        r"\.accumulate: a replica's 3 examples .* into 2 equal parts; take a divisor",
    ),
)
IN_ONE = (
    (with_data(crop_size=(32, 33)), r"\.data\.crop_size: losses\[0\]: stride=4 wants sides .*, not 32"),
    (with_data(augmentations=(part(brighter, least=1),)), r"\.data\.augmentations\[0\]: .*brighter' cannot be called"),
    (changed(recompute=True), r": recompute takes layers that are called once, not 'c5'"),
)


@pytest.mark.parametrize("index", (0, 1))
@pytest.mark.parametrize(
    ("stage", "words", "replicas"), [*((*case, 2) for case in IN_TWO), *((*case, 1) for case in IN_ONE)]
)
def test_a_stage_that_cannot_be_trained_is_named_before_the_first_step_and_leaves_no_run(
    stage, words, replicas, index, data_dir, tmp_path
):
    """The corrected command is not taken for that of another run."""
    first = dataclasses.replace(EXPERIMENT.stages[0], batch_size=4, steps=1)
    experiment = dataclasses.replace(
        EXPERIMENT,
        model=dataclasses.replace(EXPERIMENT.model, backbone=part(tiny_with_shared_layer)),
        stages=(first, stage) if index else (stage,),
        losses=(part("cross_entropy", stride=4),),
    )
    where = strategy.create_strategy("one_device") if replicas == 1 else two_replicas()
    with pytest.raises(ValueError, match=rf"^stages\[{index}\]{words}") as caught:
        loop.train(experiment, data_dir=data_dir, workdir=tmp_path / "run", strategy=where, evaluates=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_step_that_cannot_be_traced_leaves_no_run(data_dir, tmp_path):
    twice = dataclasses.replace(EXPERIMENT, losses=(part("cross_entropy"), part("cross_entropy", weight=0.5)))
    with pytest.raises(
        ValueError, match=r"two losses have a term named 'cross_entropy/logits', the second is losses\[1\]"
    ):
        train(twice, data_dir, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    drawn = dataclasses.replace(EXPERIMENT, losses=(part(Drawn),))
    with pytest.raises(ValueError, match="training cannot be deterministic with"):
        train(drawn, data_dir, tmp_path / "run", deterministic=True)
    assert not (tmp_path / "run").exists()


class Drawn:
    """A loss that draws numbers which cannot be drawn again."""

    def __call__(self, outputs, labels):
        return {"drawn": tf.reduce_mean(outputs["logits"]) * tf.random.uniform([])}


class Counted:
    """A loss that counts how often it is traced."""

    times = 0

    def __call__(self, outputs, labels):
        Counted.times += 1
        return {"counted": tf.reduce_mean(outputs["logits"] ** 2)}


@pytest.mark.parametrize("replicas", (1, 2))
def test_a_step_is_traced_once(replicas, data_dir, tmp_path):
    where = strategy.create_strategy("one_device") if replicas == 1 else two_replicas()
    stage, Counted.times = changed(steps=2, steps_per_call=replicas), 0
    experiment = dataclasses.replace(EXPERIMENT, stages=(stage,), losses=(part(Counted),))
    loop.train(experiment, data_dir=data_dir, workdir=tmp_path, strategy=where, evaluates=False)
    assert Counted.times == replicas


def test_data_sets_of_different_classes_are_refused(tmp_path):
    data_dir = convert(tmp_path, "tiny")
    convert(tmp_path, "other", classes=2)
    mixed = dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("other/val"))
    with pytest.raises(ValueError, match="other has other classes than tiny: 2, 3"):
        train(mixed, data_dir, tmp_path / "run")


def test_a_data_set_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"no converted data set 'tiny' in .*; `ksac convert` makes one"):
        train(EXPERIMENT, tmp_path, tmp_path / "run")


class Signaled(loop.SilentProgress):
    """Sends this process a signal after the second step."""

    def update(self, n=1, **shown):
        self.done = getattr(self, "done", 0) + n
        if self.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_end(straight, data_dir, tmp_path):
    with pytest.raises(RestartError, match="stopped on request after step 2; its checkpoint is saved"):
        train(STATEFUL, data_dir, tmp_path, progress=Signaled)
    assert seals.whole_steps(tmp_path / "stage_0") == [2]
    figures = train(STATEFUL, data_dir, tmp_path)
    assert 0 <= figures["miou"] <= 1
    assert_equal_runs(tmp_path, straight)
    starts = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert len(starts) == 2
    for start in starts:
        assert start["packages"]["tensorflow"] == tf.__version__ and start["devices"]
        assert {"commit", "modified"} == set(start["code"]) and start["precision"] == "float32"


@pytest.fixture(scope="module", params=STORES)
def stored(request, data_dir, tmp_path_factory):
    """A store with `data` and the folder `run` of a run there that was interrupted and went on."""
    with STORES[request.param]() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        write_records("folder", data_dir.parent / "tiny", f"{address}/data", dataset_name="tiny")
        with pytest.raises(InterruptionError):
            train(STATEFUL, f"{address}/data", f"{address}/run", progress=InterruptingProgress)
        assert load_model(f"{address}/run").step == 3
        train(STATEFUL, f"{address}/data", f"{address}/run")
        yield place(address)


def test_a_run_in_an_object_store_is_that_of_this_machine(stored, straight, data_dir):
    assert_equal_runs(stored / "run", straight)
    here, there = data_dir / "tiny" / "1.0.0", stored / "data" / "tiny" / "1.0.0"
    names = {path.name for path in here.iterdir()}
    assert names == {path.name for path in there.iterdir()}
    for name in names - {"dataset_info.json"}:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert seals.damage(best_path(stored / "run")) is None


def test_a_run_in_an_object_store_is_evaluated_predicted_saved_and_exported(stored, straight, data_dir, tmp_path):
    kinds = ("index", "probabilities")
    pictures = find_images(str(data_dir.parent / "tiny/images/val"))
    for picture in pictures:
        (stored / "photos").mkdir(exist_ok=True)
        write_whole(stored / "photos" / picture.name, picture.read_bytes())
    written = []
    for folder, data, images, run in (
        (tmp_path, data_dir, pictures, straight),
        (stored / "out", stored / "data", find_images(f"{stored}/photos/*.jpg"), stored / "run"),
    ):
        result = RunEvaluation(load(str(run)), data_dir=data)()
        folder.mkdir(exist_ok=True)
        (folder / "evaluated").mkdir()
        result.write(folder / "evaluated")
        result.append_line(folder / "evaluated")
        result.append_line(folder / "evaluated")
        predictor = Predictor.load(str(run))
        assert not predict_files(predictor, images, folder / "predicted", kinds=kinds).failures
        predictor.save(folder / "model")
        loaded = load(str(folder / "model"))
        assert export_saved_model(loaded.model, folder / "served" / "1", info=loaded.info, check=False).name == "1"
        written.append({path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})
    assert set(written[0]) == set(written[1])
    for name, path in written[0].items():
        if not name.startswith("served") and name != "model/model.json" and not name.endswith(".npz"):
            assert path.read_bytes() == written[1][name].read_bytes(), name
    for name in (name for name in written[0] if name.endswith(".npz")):
        with np.load(written[0][name]) as here, np.load(io.BytesIO(written[1][name].read_bytes())) as there:
            np.testing.assert_array_equal(here["probabilities"], there["probabilities"])
    with pytest.raises(FileExistsError, match="in an object store no folder can be replaced at once"):
        export_saved_model(loaded.model, stored / "out/served/1", info=loaded.info, overwrite=True)
    fresh = train(with_steps(STATEFUL, 1), data_dir, tmp_path / "started", init_from=f"{stored}/out/model")
    assert 0 <= fresh["miou"] <= 1


class SignaledAtTheEnd(loop.SilentProgress):
    """Sends this process a signal after the last step, before its evaluation."""

    def __init__(self, total, label, start=0):
        self.left = total - start

    def update(self, n=1, **shown):
        self.left -= n
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_is_asked_to_stop_while_it_evaluates_makes_the_evaluation_up(straight, data_dir, tmp_path):
    with pytest.raises(RestartError, match="SIGTERM came"):
        train(STATEFUL, data_dir, tmp_path, progress=SignaledAtTheEnd)
    assert seals.whole_steps(tmp_path / "stage_0")[-1] == 4
    assert not any("eval/miou" in line for line in read_metrics(tmp_path))
    figures = train(STATEFUL, data_dir, tmp_path)
    assert figures["miou"] == list(read_metrics(straight))[-1]["eval/miou"]
    assert_equal_runs(tmp_path, straight)


class StoppedEvaluator:
    """Ends the process's work in the midst of an evaluation, as a kill would; keeps the weights of that moment."""

    def __init__(self, model):
        self.model = model

    def __call__(self, batches, *, progress):
        self.weights = self.model.get_weights()
        raise InterruptionError


def stopped_while_it_evaluates(experiment, data_dir, workdir):
    """The run of an experiment's first stage, which ends in its first evaluation."""
    place = {"data_dir": data_dir, "workdir": workdir, "strategy": strategy.create_strategy("one_device")}
    claim_workdir(workdir, experiment, load_info("tiny", data_dir))
    run = StageRun(experiment, 0, load_info("tiny", data_dir), **place)
    run.evaluator = StoppedEvaluator(run.model)
    with StopRequest() as stop, pytest.raises(InterruptionError):
        loop.train_stage(run, 0, loop.SilentProgress, stop)
    return run


def test_a_run_that_ends_while_it_evaluates_loses_no_step(data_dir, tmp_path):
    experiment = dataclasses.replace(
        EXPERIMENT, stages=(changed(steps_per_call=3),), evaluate_every=1, checkpoint_every=100, log_every=100
    )
    stopped_while_it_evaluates(experiment, data_dir, tmp_path)
    assert seals.whole_steps(tmp_path / "stage_0") == [1]
    figures = train(experiment, data_dir, tmp_path)
    evaluations = [line for line in read_metrics(tmp_path) if "eval/miou" in line]
    assert [line["step"] for line in evaluations] == [1, 2, 3, 4]
    assert figures["miou"] == evaluations[-1]["eval/miou"]


def test_every_stage_has_an_order_of_its_own(data_dir, tmp_path):
    place = {"data_dir": data_dir, "workdir": tmp_path, "strategy": strategy.create_strategy("one_device")}
    runs = [StageRun(with_steps(EXPERIMENT, 1, 1), index, load_info("tiny", data_dir), **place) for index in (0, 1)]
    assert len({tuple(batch_filenames(**run.order, step=0)) for run in runs}) == 2


def test_averages_are_what_is_evaluated(data_dir, tmp_path):
    experiment = dataclasses.replace(EXPERIMENT, stages=(changed(ema_decay=0.9),), evaluate_every=2)
    run = stopped_while_it_evaluates(experiment, data_dir, tmp_path)
    for found, average in zip(run.evaluator.weights, run.averages.values, strict=True):
        np.testing.assert_array_equal(found, average.numpy())
    assert not np.array_equal(run.evaluator.weights[0], run.model.get_weights()[0])


def test_the_pictures_are_made_with_the_views_of_the_evaluation(data_dir, tmp_path):
    windowed = EvalSpec("tiny/val", Views(window=(17, 17), pad_to=(65, 65)))
    train(dataclasses.replace(with_steps(EXPERIMENT, 1), evaluation=windowed), data_dir, tmp_path)
    loaded, colors = load_model(tmp_path), load_info("tiny", data_dir).colors
    pictures = {}
    for path in (tmp_path / "stage_0").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("pictures/"):
                    pictures[value.tag] = tf.io.decode_png(value.tensor.string_val[2]).numpy()
    differ = 0
    for number, example in enumerate(eval_batches("tiny", "val", data_dir=data_dir)):
        image = example["image"]
        shown = pictures[f"pictures/{number}"][:, 2 * image.shape[2] :]
        expected = predict_classes(loaded.model, image, Views(window=(17, 17), pad_to=(65, 65)))[0].numpy()
        np.testing.assert_array_equal(shown, colorize(expected, colors))
        differ += (expected != predict_classes(loaded.model, image)[0].numpy()).any()
    assert len(pictures) == 3 and differ  # else it says nothing


KILLED = """
import os, signal, sys
from deeplab_ksac.runs import seals
from tests.conftest import split_cpu
from tests.deeplab_ksac.tiny_backbone import tiny_backbone, tiny_backbone_known
from tests.deeplab_ksac.training import test_loop

def killed_before_the_seal(prefix, sums):
    if prefix.endswith("-4"):
        os.kill(os.getpid(), signal.SIGKILL)
    sealed(prefix, sums)

sealed, seals.seal = seals.seal, killed_before_the_seal
with tiny_backbone_known():
    test_loop.train(test_loop.STATEFUL, sys.argv[1], sys.argv[2])
"""


def test_a_run_that_is_killed_while_it_saves_goes_on_to_the_same_end(straight, data_dir, tmp_path, caplog):
    done = subprocess.run([sys.executable, "-c", KILLED, str(data_dir), str(tmp_path)], timeout=500, check=False)
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / "stage_0").glob("ckpt-4*"))[-1] == "ckpt-4.index"  # and no seal
    train(STATEFUL, data_dir, tmp_path)
    assert "the checkpoint of step 4" in caplog.text and "not written completely" in caplog.text
    assert_equal_runs(tmp_path, straight)


def test_an_evaluation_that_a_stopped_run_owes_is_made(straight, data_dir, tmp_path):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    metrics = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join(metrics[:-1]))
    assert train(STATEFUL, data_dir, tmp_path, evaluates=False) is None
    figures = train(STATEFUL, data_dir, tmp_path)
    assert figures["miou"] == json.loads(metrics[-1])["eval/miou"]
    assert_equal_runs(tmp_path, straight)


class Vandal(loop.SilentProgress):
    """Does something to the run's files after the third step, whose checkpoint is saved after that."""

    def update(self, n=1, **shown):
        self.done = getattr(self, "done", 0) + n
        if self.done == 4:
            self.harm()


def test_data_that_vanish_and_a_full_disk_are_one_line_and_leave_the_last_checkpoint(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    files, _ = shard_files("tiny", "train", tmp_path / "data")
    longer = dataclasses.replace(with_steps(EXPERIMENT, 200), checkpoint_every=3)

    class Deleting(Vandal):
        def harm(self):
            for file in files:
                os.unlink(file)

    with pytest.raises(
        OSError, match=r"training stopped: .*tfrecord.*; the checkpoint of step \d+ is unchanged"
    ) as lost:
        train(longer, tmp_path / "data", tmp_path / "run", progress=Deleting)
    assert "\n" not in str(lost.value)

    class Filling(Vandal):
        def harm(self):
            (tmp_path / "run/metrics.jsonl").unlink()
            (tmp_path / "run/metrics.jsonl").symlink_to("/dev/full")

    before = seals.whole_steps(tmp_path / "run/stage_0")
    with pytest.raises(OSError, match=r"metrics.jsonl cannot be written: No space left on device"):
        train(longer, data_dir, tmp_path / "run", progress=Filling)
    assert seals.whole_steps(tmp_path / "run/stage_0")[-1] >= before[-1]


def test_a_folder_that_cannot_be_written_is_said_before_the_first_step(data_dir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train(EXPERIMENT, data_dir, tmp_path / "file/run")


def test_a_configuration_from_before_a_field_was_added_is_not_taken_for_another(data_dir, tmp_path):
    claim_workdir(tmp_path, EXPERIMENT, load_info("tiny", data_dir))
    fields = json.loads((tmp_path / "experiment.json").read_text())
    del fields["stages"][0]["data"]["weights"]
    (tmp_path / "experiment.json").write_text(json.dumps(fields))
    claim_workdir(tmp_path, EXPERIMENT, load_info("tiny", data_dir))


@pytest.mark.parametrize("name", ("adamw", "lamb"))
def test_a_run_from_before_betas_had_keras_names_is_read_and_goes_on(name, data_dir, tmp_path):
    optimizer = part(name, learning_rate=0.01, beta_1=0.8, beta_2=0.99)
    experiment = dataclasses.replace(
        EXPERIMENT, stages=(dataclasses.replace(EXPERIMENT.stages[0], optimizer=optimizer),)
    )
    claim_workdir(tmp_path, experiment, load_info("tiny", data_dir))
    fields = json.loads((tmp_path / "experiment.json").read_text())
    fields["stages"][0]["optimizer"]["args"] = {"learning_rate": 0.01, "betas": [0.8, 0.99]}
    (tmp_path / "experiment.json").write_text(json.dumps(fields))
    claim_workdir(tmp_path, experiment, load_info("tiny", data_dir))
    assert read_workdir(tmp_path)[0] == experiment


def test_an_experiment_file_that_cannot_be_read_is_named_with_its_field(data_dir, tmp_path):
    claim_workdir(tmp_path, EXPERIMENT, load_info("tiny", data_dir))
    path = tmp_path / "experiment.json"
    fields = json.loads(path.read_text())
    wrong = json.dumps({**fields, "seed": "a"})
    for content, words in ((wrong, "cannot be read: seed takes int, not 'a'"), ("{", "is not valid JSON: Expecting")):
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"{path} {words}"):
            read_workdir(tmp_path)
