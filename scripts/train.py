"""Trains an experiment, or continues a run that was stopped.

    ksac train --config=scenes_ksac --workdir=runs/scenes --data_dir=data
    ksac train --config=camvid_ksac --config.stages[0].steps=100 --workdir=runs/try --data_dir=data

The experiment says what is trained, the other flags where. Every field of the experiment can be overridden.

Exit status: 0 trained, 1 an error that the last line names, 42 stopped before the end (SIGTERM or SIGUSR1 came, or
another worker was lost): the same command, on every worker, continues.
"""

import functools
import sys

from absl import flags

from deeplab_ksac.errors import in_one_line, printable
from deeplab_ksac.scripts.commandline import config, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress


def define_flags():
    """The experiment and where it runs."""
    config.define_flag()
    flags.DEFINE_string("workdir", None, "folder of the run: configuration, checkpoints, events, metrics")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string("init_from", None, "workdir of a run whose weights the first stage starts from")
    flags.DEFINE_string(
        "backbone_weights", None, "weights for the first stage's backbone: imagenet, or an h5 or safetensors file"
    )
    flags.DEFINE_string(
        "strategy", "auto", "auto, one_device, mirrored, multi_worker (reads TF_CONFIG) or tpu", short_name="s"
    )
    flags.DEFINE_string("tpu", "", "address of the TPU, for --strategy=tpu")
    values.whole_number(
        "cpu_replicas", 1, "logical devices made of the CPU, to try --strategy=mirrored", least=1, most=64
    )
    flags.DEFINE_string("precision", "float32", "float32, mixed_float16 or mixed_bfloat16")
    flags.DEFINE_enum(
        "mode",
        "train_and_eval",
        ["train", "train_and_eval"],
        "whether the model is evaluated during training and at the end",
    )
    flags.DEFINE_bool("deterministic", False, "make the run repeatable bit for bit")
    flags.DEFINE_bool("allow_new_layers", False, "whether most layers may stay new with --init_from")
    flags.DEFINE_bool("start_over", False, "begin a stage again whose checkpoints are lost; the rest is set aside")
    flags.mark_flags_as_required(["config", "workdir", "data_dir"])


def run(given):
    """Trains and prints how it ended; the exit status."""
    experiment = config.chosen(given.config)

    from deeplab_ksac.training.interruption import RESTART_STATUS, RestartError

    try:
        figures = train(experiment, given)
    except RestartError as stopped:
        print(f"train: {in_one_line(stopped)}; the same command continues", file=sys.stderr)
        return RESTART_STATUS
    if figures is not None:
        print(f"mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")
    elif given.mode == "train":
        print(f"{given.workdir} is trained; `ksac evaluate` evaluates it")
    else:
        print(f"{given.workdir} was already finished")
    return 0


def train(experiment, given):
    """Sets up strategy, precision and seeds, then hands over to `training.loop.train`; its figures."""
    from deeplab_ksac.keras2 import keras
    from deeplab_ksac.training import loop
    from deeplab_ksac.training import strategy as strategies

    if given.cpu_replicas > 1:
        strategies.split_cpu(given.cpu_replicas)
    if given.deterministic:
        strategies.make_deterministic(experiment.seed)
    else:
        keras.utils.set_random_seed(experiment.seed)
    with values.named():
        strategies.set_precision(given.precision)
        strategy = strategies.create_strategy(given.strategy, given.tpu)
    print(f"{experiment.name} on {strategy.num_replicas_in_sync} replica(s), {given.precision}", file=sys.stderr)
    for sentence in useless_labels(experiment, given.data_dir):
        print(f"WARNING: {printable(sentence)}", file=sys.stderr)
    return loop.train(
        experiment,
        data_dir=given.data_dir,
        workdir=given.workdir,
        strategy=strategy,
        init_from=given.init_from,
        backbone_weights=given.backbone_weights,
        progress=Progress,
        evaluates=given.mode == "train_and_eval",
        deterministic=given.deterministic,
        start_over=given.start_over,
        allow_new_layers=given.allow_new_layers,
        tell=functools.partial(print, file=sys.stderr),
    )


def useless_labels(experiment, data_dir):
    """Sentences on data sets of the experiment from which nothing can be learned."""
    from deeplab_ksac.datasets.findings import find_useless_labels
    from deeplab_ksac.datasets.info import load_info
    from deeplab_ksac.datasets.splits import Split

    splits = dict.fromkeys(Split.parse(source) for stage in experiment.stages for source in stage.data.sources)
    found = (find_useless_labels(load_info(split.dataset, data_dir), [split.name]) for split in splits)
    return list(dict.fromkeys(sentence for sentences in found for sentence in sentences))


if __name__ == "__main__":
    start("train", define_flags, run)
