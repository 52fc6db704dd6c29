"""Trains an experiment, or goes on where it was stopped.

    python scripts/train.py --config=scenes_ksac --workdir=runs/scenes --data_dir=data
    python scripts/train.py --config=camvid_ksac --config.stages[0].steps=100 --workdir=runs/try --data_dir=data

The experiment says what is trained, the other flags say where. Every field of the experiment can be overridden.

Exit status: 0 trained, 1 an error that the last line names, 42 stopped before the end (SIGTERM or SIGUSR1 came, or
another worker was lost): the same command, on every worker, goes on.
"""

import sys

from absl import app, flags
from ml_collections import config_flags

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.scripts.commandline.config import flags_parser, with_config_file
from deeplab_ksac.scripts.commandline.ending import exit_status
from deeplab_ksac.scripts.commandline.progress import Progress

FLAGS = flags.FLAGS


def define_flags(argv):
    """The experiment and where it runs."""
    config_flags.DEFINE_config_file("config", None, "name of the experiment", sys_argv=argv)
    flags.DEFINE_string("workdir", None, "folder of the run: configuration, checkpoints, events, metrics")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string("init_from", None, "workdir of a run whose weights the first stage starts from")
    flags.DEFINE_string(
        "backbone_weights", None, "what the first stage's backbone starts from: imagenet, or an h5 or safetensors file"
    )
    flags.DEFINE_string(
        "strategy", "auto", "auto, one_device, mirrored, multi_worker (reads TF_CONFIG) or tpu", short_name="s"
    )
    flags.DEFINE_string("tpu", "", "address of the TPU, for --strategy=tpu")
    flags.DEFINE_integer(
        "cpu_replicas", 1, "logical devices made of the CPU, to try --strategy=mirrored", lower_bound=1
    )
    flags.DEFINE_string("precision", "float32", "float32, mixed_float16 or mixed_bfloat16")
    flags.DEFINE_enum(
        "mode",
        "train_and_eval",
        ["train", "train_and_eval"],
        "whether the model is evaluated on the way and at the end",
    )
    flags.DEFINE_bool("deterministic", False, "compute every operation in a fixed order, bit for bit repeatable")
    flags.mark_flags_as_required(["config", "workdir", "data_dir"])


def main(argv):
    """Trains what the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(run, name="train")


def run():
    """Trains, and says how it ended; the exit status."""
    from deeplab_ksac.training.interruption import RESTART_STATUS, RestartError

    try:
        figures = train()
    except RestartError as stopped:
        print(f"train: {in_one_line(stopped)}; the same command goes on", file=sys.stderr)
        return RESTART_STATUS
    if figures is not None:
        print(f"mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")
    elif FLAGS.mode == "train":
        print(f"{FLAGS.workdir} is trained; scripts/evaluate.py evaluates it")
    else:
        print(f"{FLAGS.workdir} was finished before")
    return 0


def train():
    """Sets up strategy, precision and seeds, then hands over to `training.loop.train`; its figures."""
    from tensorflow import keras

    from deeplab_ksac.experiment import from_config_dict
    from deeplab_ksac.training import loop
    from deeplab_ksac.training import strategy as strategies

    experiment = from_config_dict(FLAGS.config)
    if FLAGS.cpu_replicas > 1:
        strategies.split_cpu(FLAGS.cpu_replicas)
    if FLAGS.deterministic:
        strategies.make_deterministic(experiment.seed)
    else:
        keras.utils.set_random_seed(experiment.seed)
    strategies.set_precision(FLAGS.precision)
    strategy = strategies.create_strategy(FLAGS.strategy, FLAGS.tpu)
    print(f"{experiment.name} on {strategy.num_replicas_in_sync} replica(s), {FLAGS.precision}", file=sys.stderr)
    return loop.train(
        experiment,
        data_dir=FLAGS.data_dir,
        workdir=FLAGS.workdir,
        strategy=strategy,
        init_from=FLAGS.init_from,
        backbone_weights=FLAGS.backbone_weights,
        progress=Progress,
        evaluates=FLAGS.mode == "train_and_eval",
        deterministic=FLAGS.deterministic,
    )


if __name__ == "__main__":
    arguments = with_config_file(sys.argv)
    define_flags(arguments)
    app.run(main, argv=arguments, flags_parser=flags_parser("train"))
