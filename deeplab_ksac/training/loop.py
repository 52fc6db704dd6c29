"""The whole of a training run: stages, steps, measurements, checkpoints, evaluations."""

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.construct import at
from deeplab_ksac.datasets.access import damaged_file
from deeplab_ksac.datasets.distortions import require_colors
from deeplab_ksac.datasets.info import ConvertedInfo, load_info, require_bands
from deeplab_ksac.datasets.records import shard_files
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.import_paths import check_no_file_is_run
from deeplab_ksac.runs.checkpoints import prepare_stages
from deeplab_ksac.runs.provenance import provenance
from deeplab_ksac.runs.workdir import (
    EXPERIMENT_FILE,
    OF_TRAINING,
    check_precision,
    claim_workdir,
    only_one_training,
    read_experiment,
    record_start,
    was_evaluated,
)
from deeplab_ksac.storage import place
from deeplab_ksac.training.cached_backbone import cached_features
from deeplab_ksac.training.feasibility import check_features, check_with_model, check_without_model
from deeplab_ksac.training.initial_weights import initialize, with_backbone_weights
from deeplab_ksac.training.interruption import RestartError, StopRequest, agreement, failures_in_one_line
from deeplab_ksac.training.listeners import Listener, Shielded
from deeplab_ksac.training.log import StageLog
from deeplab_ksac.training.stage import DivergenceError, StageRun
from deeplab_ksac.training.strategy import create_strategy, workers
from deeplab_ksac.whole_files import check_writable, present, remove_partial

__all__ = ["DivergenceError", "SilentProgress", "check_data", "train", "train_stage"]


class SilentProgress:
    """Shows nothing."""

    def __init__(self, total: int, label: str, start: int = 0):
        pass

    def update(self, n: int = 1, **shown) -> None:
        """Counts nothing."""

    def close(self) -> None:
        """Closes nothing."""


def train(
    experiment: Experiment,
    *,
    data_dir: str | os.PathLike,
    workdir: str | os.PathLike,
    strategy: tf.distribute.Strategy | None = None,
    init_from: str | os.PathLike | None = None,
    backbone_weights: str | None = None,
    progress: Callable | None = None,
    evaluates: bool = True,
    deterministic: bool = False,
    jit: bool = False,
    start_over: bool = False,
    allow_new_layers: bool = False,
    allow_code: bool = False,
    listeners: Sequence[Listener] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any] | None:
    """Trains an experiment in its folder, or continues where an earlier call stopped.

    Example:
        base = EXPERIMENTS["scenes_ksac"]
        model = dataclasses.replace(base.model, head=part("deeplabv3", filters=64))
        experiment = dataclasses.replace(base, name="scenes_aspp", model=model)
        train(experiment, data_dir="data", workdir="runs/scenes_aspp")

    The generators of Python, NumPy and TensorFlow are seeded with the experiment's seed.

    Args:
        experiment: what is trained.
        data_dir: where converted data sets are; a path, or an address in an object store.
        workdir: the folder for configuration, checkpoints, events and metrics; a path or an address too.
        strategy: where it is computed, such as `strategy.create_strategy` gives; by default all GPUs of this machine,
            or its CPU.
        init_from: a trained model whose weights the first stage starts from: a run's folder, a saved model's, the name
            of one that comes with this package, or hf://user/name.
        backbone_weights: published weights that the first stage's backbone starts from, as `with_backbone_weights`.
        progress: (total, label, start) -> an object with `update(n, **shown)` and `close()`; None shows nothing.
        evaluates: whether the model is evaluated during training and at the end.
        deterministic: whether what could not be repeated bit for bit is an error before the first step.
        jit: whether XLA compiles the step as a whole, for one replica; results agree to rounding.
        start_over: whether a stage that has lost its checkpoints begins again; what is left of it is set aside.
        allow_new_layers: whether most layers may be new with `init_from`.
        allow_code: whether the code may be run that a saved model brings along as `init_from`.
        listeners: are told of steps, evaluations and checkpoints, beside TensorBoard's events and metrics.jsonl. One
            that raises is named in a warning and told nothing more; the training goes on.
        tell: called with lines that say what was taken from `init_from`, and that a stage ended early.

    Returns:
        The last evaluation's figures, as `deeplab_ksac.evaluation.summarize`; None if there was none.

    Raises:
        DivergenceError: a loss term became NaN or infinite; nothing was saved since the last good checkpoint.
        ValueError: the folder holds another run, data and model do not fit each other, or the weights the model; or
            something cannot be deterministic.
        LostCheckpointsError: a stage has lost its checkpoints, and `start_over` is False.
        OSError: a file can no longer be read or written; the last good checkpoint is unchanged. Or another training
            holds the folder (`WorkdirInUseError`).
        RestartError: it was asked to stop (SIGTERM, SIGUSR1), or another worker was lost; call it again to continue.
    """
    check_no_file_is_run("training")
    told = [Shielded(listener) for listener in listeners]
    if strategy is None:
        strategy = create_strategy()
    keras.utils.set_random_seed(experiment.seed)
    if init_from is not None and backbone_weights is not None:
        raise ValueError("the first stage starts from init_from or from backbone_weights, not from both")
    _check_patience(experiment, evaluates)
    writes = strategy.extended.should_checkpoint
    if writes:
        check_writable(workdir)
    experiment = with_backbone_weights(experiment, backbone_weights, workdir)
    info = check_data(experiment, data_dir)
    check_without_model(experiment, strategy)
    places = {"data_dir": data_dir, "workdir": workdir, "strategy": strategy, "jit": jit}
    with only_one_training(workdir) if writes else contextlib.nullcontext():
        first = [StageRun(experiment, 0, info, **places)]  # what cannot be built leaves the folder as it was
        check_with_model(experiment, first[0].model, first[0].objective, data_dir)
        weights = {
            "init_from": init_from,
            "backbone_weights": backbone_weights,
            "allow_new_layers": allow_new_layers,
            "allow_code": allow_code,
            "class_names": info.class_names,
            "tell": tell,
        }
        begins = not present(place(workdir) / EXPERIMENT_FILE)
        if begins:  # and so does what cannot be taken
            initialize(first[0].model, experiment.model.backbone, workdir, 0, **weights)
            check_features(experiment, first[0].model, data_dir)
            if workers(strategy)[0] == 1:  # several trace in one order, and one may find the folder claimed already
                first[0].check_step(deterministic=deterministic)
        claim_workdir(workdir, experiment, info)
        experiment = read_experiment(workdir)  # whose files of one's own nobody edits while the stages go by
        if writes:
            remove_partial(workdir, OF_TRAINING)
            prepare_stages(workdir, len(experiment.stages), start_over=start_over)
        check_precision(workdir, keras.mixed_precision.global_policy().name)
        return _train_stages(
            experiment,
            info,
            first,
            places=places,
            weights=weights,
            begins=begins,
            progress=progress or SilentProgress,
            options={"evaluates": evaluates, "deterministic": deterministic, "listeners": told, "tell": tell},
        )


def _train_stages(experiment, info, first_run, *, places, weights, begins, progress, options):
    """Trains all stages, each from its newest checkpoint or its beginning; the last evaluation's figures.

    The first stage of a run that `begins` has its initial weights already. `first_run` is a list, from which its run is
    taken, so that nothing keeps it while others are trained.
    """
    workdir, strategy = places["workdir"], places["strategy"]
    if strategy.extended.should_save_summary:
        how = {"deterministic": options["deterministic"], "jit": places["jit"]}
        record_start(workdir, {**provenance(strategy), **how})
    figures = None
    with StopRequest(agreement(strategy, workers(strategy)[0])) as stop:
        for index in range(len(experiment.stages)):
            run = first_run.pop() if first_run else StageRun(experiment, index, info, **places)
            first = run.restore()
            if first == 0 and not (begins and index == 0):
                initialize(run.model, experiment.model.backbone, workdir, index, objective=run.objective, **weights)
            figures = train_stage(run, first, progress, stop, **options) or figures
    return figures


def train_stage(
    run: StageRun,
    first: int,
    progress: Callable,
    stop: StopRequest,
    *,
    evaluates: bool = True,
    deterministic: bool = False,
    listeners: Sequence[Listener] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any] | None:
    """Trains a stage to its end, from its beginning or from its newest checkpoint.

    A checkpoint comes before every evaluation, so that whatever ends an evaluation, the next start makes it up.

    Args:
        run: the stage, with the weights that it begins with or goes on from.
        first: the steps that were done by then.
        progress, evaluates, deterministic, tell: as `train`.
        listeners: are told too; what one raises ends the training, unless it is `Shielded`.
        stop: is asked after every call of the step.

    Returns:
        The last evaluation's figures; None where there was none.

    Raises:
        DivergenceError, ValueError, OSError, RestartError: as `train`.
    """
    plan, steps, figures, done = run.experiment, run.stage.steps, None, first
    logged = first == 0 or was_evaluated(run.workdir, run.index, first)
    owed = evaluates and not logged and run.due(first, plan.evaluate_every)
    if run.is_over(first) and not owed:
        return None
    writes = run.strategy.extended.should_save_summary
    logs = {"evaluated": logged, "writes": writes, "listeners": listeners}
    place = functools.partial(damaged_file, (*run.stage.data.sources, plan.evaluation.dataset), run.data_dir)
    with (
        contextlib.closing(StageLog(run.workdir, run.index, first, **logs)) as log,
        failures_in_one_line(workers(run.strategy)[0], run.checkpoints.newest, place),
        contextlib.closing(progress(steps, f"stage {run.index + 1}/{len(plan.stages)}", start=first)) as shown,
    ):
        if owed:
            figures = run.evaluate(first, log, stop)
        for done, terms in run.calls(first, log, deterministic=deterministic):
            measured = {}
            if run.due(done, plan.log_every):
                measured = log.write_training(done, run.check(done, terms)[-1], run.stage.batch_size, run.optimizer)
            shown.update(len(terms), **measured)
            stopped, evaluated = stop.agreed(), evaluates and run.due(done, plan.evaluate_every)
            if stopped or evaluated or run.due(done, plan.checkpoint_every):
                run.save(done, terms, log)
            if stopped and done < steps:
                raise RestartError(f"stopped on request after step {done}; its checkpoint is saved")
            if evaluated:
                figures = run.evaluate(done, log, stop)
        log.finished = True
    if done < steps:
        tell(
            f"stage {run.index + 1}/{len(plan.stages)} ended after step {done} of {steps}: the mIoU has not risen for "
            f"{run.stage.patience} evaluations"
        )
    return figures


def _check_patience(experiment, evaluates):
    """Raises ValueError where a stage's patience waits for evaluations that are not made."""
    for index, stage in enumerate(experiment.stages):
        if stage.patience and not (evaluates and experiment.evaluate_every):
            missing = "evaluate_every is 0" if evaluates else "this training does not evaluate (--mode=train)"
            raise ValueError(
                f"stages[{index}].patience is {stage.patience}, but {missing}; evaluate during training, or set "
                "patience to 0"
            )


def check_data(experiment: Experiment, data_dir: str | os.PathLike) -> ConvertedInfo:
    """Makes sure before the first step that every data set of every stage, and of the evaluation, is there and fits.

    Returns:
        What is known of the first.

    Raises:
        ValueError: a data set, split or file that is missing, or whose classes or bands are not those of the first;
            distortions of colors for pictures that have none; cached features that do not fit.
    """
    sources = [source for stage in experiment.stages for source in stage.data.sources]
    splits = [Split.parse(source) for source in (*sources, experiment.evaluation.dataset)]
    first = load_info(splits[0].dataset, data_dir)
    for split in splits:
        info = load_info(split.dataset, data_dir)
        if split.name not in info.num_examples:
            known = ", ".join(info.num_examples)
            raise ValueError(f"{split.dataset} has no split {split.name!r} in {data_dir}; it has {known}")
        if info.class_names != first.class_names:
            raise ValueError(
                f"{split.dataset} has other classes than {first.name}: {info.num_classes}, {first.num_classes}"
            )
        require_bands(split.dataset, info.bands, first.bands, first.name)
        shard_files(split.dataset, split.name, data_dir)
    for index, stage in enumerate(experiment.stages):
        with at(f"stages[{index}].data"):
            require_colors(stage.data, first.bands)
        cached_features(experiment, index, data_dir)
    return first
