"""The whole of a training run: stages, data, steps, measurements, checkpoints."""

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.runs.provenance import provenance
from deeplab_ksac.runs.workdir import claim_workdir, record_start
from deeplab_ksac.training.initial_weights import with_backbone_weights
from deeplab_ksac.training.interruption import StopRequest, agreement
from deeplab_ksac.training.place import Place
from deeplab_ksac.training.stage_run import DivergenceError, StageRun
from deeplab_ksac.training.strategy import workers

__all__ = ["DivergenceError", "SilentProgress", "check_data", "train"]


def train(experiment, *, init_from=None, backbone_weights=None, progress=None, **place):
    """Trains an experiment in its folder, or goes on where an earlier call was stopped.

    Args:
        experiment: what is trained.
        init_from: workdir of a run whose weights the first stage starts from.
        backbone_weights: "imagenet" or a file of published weights that the first stage's backbone starts from.
        progress: (total, label, start) -> an object with `update(n, **shown)` and `close()`; None shows nothing.
        **place: of `Place`: `data_dir`, where converted data sets live; `workdir`, the folder for configuration,
            checkpoints, events and metrics; `strategy`, a `tf.distribute.Strategy`; `evaluates=True`, whether the model
            is evaluated on the way and at the end; `deterministic=False`, whether what could not be repeated bit for
            bit is refused before the first step.

    Returns:
        The last evaluation's figures, as `deeplab_ksac.evaluation.summarize`; None if there was none.

    Raises:
        DivergenceError: a loss term became NaN or infinite; nothing was saved since the last good checkpoint.
        ValueError: the folder holds another run, data and model do not fit each other, or the weights the model; or
            something cannot be deterministic.
        OSError: a file cannot be read or written any more; the last good checkpoint is as it was.
        RestartError: it was asked to stop (SIGTERM, SIGUSR1), or another worker was lost; called again, it goes on.
    """
    if init_from is not None and backbone_weights is not None:
        raise ValueError("the first stage starts from init_from or from backbone_weights, not from both")
    place = Place(**place)
    experiment = with_backbone_weights(experiment, backbone_weights, place.workdir)
    info = check_data(experiment, place.data_dir)
    claim_workdir(place.workdir, experiment, info)
    if place.strategy.extended.should_save_summary:
        record_start(place.workdir, {**provenance(place.strategy), "deterministic": place.deterministic})
    figures = None
    with StopRequest(agreement(place.strategy, workers(place.strategy)[0])) as stop:
        for index in range(len(experiment.stages)):
            run = StageRun(experiment, index, info, place)
            figures = run(init_from, backbone_weights, progress or SilentProgress, stop) or figures
    return figures


def check_data(experiment, data_dir):
    """Makes sure before the first step that every data set of every stage, and of the evaluation, is there and fits.

    Returns:
        The `ConvertedInfo` of the first.

    Raises:
        ValueError: a data set or split that is missing, or whose classes are not those of the first.
    """
    trained_on = [source for stage in experiment.stages for source in stage.data.sources]
    first = load_info(trained_on[0].partition("/")[0], data_dir)
    for source in (*trained_on, experiment.evaluation.dataset):
        name, _, split = source.partition("/")
        info = load_info(name, data_dir)
        if split not in info.num_examples:
            raise ValueError(f"{name} has no split {split!r} in {data_dir}; it has {', '.join(info.num_examples)}")
        if info.class_names != first.class_names:
            raise ValueError(f"{name} has other classes than {first.name}: {info.num_classes}, {first.num_classes}")
    return first


class SilentProgress:
    """Shows nothing."""

    def __init__(self, total, label, start=0):
        pass

    def update(self, n=1, **shown):
        """Counts nothing."""

    def close(self):
        """Closes nothing."""
