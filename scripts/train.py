"""Trains an experiment, or goes on where it was stopped.

    python scripts/train.py --config=scenes_ksac --workdir=runs/scenes --data_dir=data
    python scripts/train.py --config=camvid_ksac --config.stages[0].steps=100 --workdir=runs/try --data_dir=data

The experiment says what is trained, the other flags say where. Every field of the experiment can be overridden.
"""

import sys

from absl import app, flags
from ml_collections import config_flags

from scripts import ROOT
from scripts.output import exit_status, in_one_line
from scripts.progress import Progress

FLAGS = flags.FLAGS
CONFIG_FILE = ROOT / "scripts" / "experiment_config.py"


def define_flags(argv):
    """The experiment and where it runs."""
    config_flags.DEFINE_config_file("config", None, "name of the experiment", sys_argv=argv)
    flags.DEFINE_string("workdir", None, "folder of the run: configuration, checkpoints, events, metrics")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string("init_from", None, "workdir of a run whose weights the first stage starts from")
    flags.DEFINE_string(
        "strategy", "auto", "auto, one_device, mirrored, multi_worker (reads TF_CONFIG) or tpu", short_name="s"
    )
    flags.DEFINE_string("tpu", "", "address of the TPU, for --strategy=tpu")
    flags.DEFINE_integer(
        "cpu_replicas", 1, "logical devices made of the CPU, to try --strategy=mirrored", lower_bound=1
    )
    flags.DEFINE_string("precision", "float32", "float32, mixed_float16 or mixed_bfloat16")
    flags.DEFINE_bool("deterministic", False, "compute every operation in a fixed order, bit for bit repeatable")
    flags.mark_flags_as_required(["config", "workdir", "data_dir"])


def with_config_file(argv):
    """The command line with `--config=<experiment>` as `config_flags` reads it: a file and its argument."""
    named, following = [], False
    for word in argv:
        if following or word.startswith(("--config=", "-config=")):
            flag, _, name = word.rpartition("=") if not following else ("", "", word)
            word = f"{flag}={CONFIG_FILE}:{name}" if flag else f"{CONFIG_FILE}:{name}"
            following = False
        elif word in ("--config", "-config"):
            following = True
        named.append(word)
    return named


def main(argv):
    """Trains what the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(run, name="train")


def run():
    """Sets up strategy, precision and seeds, then hands over to `training.loop.train`."""
    from tensorflow import keras

    from deeplab_ksac.experiment import from_config_dict
    from deeplab_ksac.training import strategy as strategies
    from deeplab_ksac.training.loop import train

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
    figures = train(
        experiment,
        data_dir=FLAGS.data_dir,
        workdir=FLAGS.workdir,
        strategy=strategy,
        init_from=FLAGS.init_from,
        progress=Progress,
    )
    if figures is None:
        print(f"{FLAGS.workdir} was finished before")
    else:
        print(f"mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")
    return 0


def parse_flags(argv):
    """As `app.run` parses them, with one line for an experiment or a field that does not exist."""
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, LookupError) as error:
        sys.exit(f"train: {in_one_line(error)}")


if __name__ == "__main__":
    arguments = with_config_file(sys.argv)
    define_flags(arguments)
    app.run(main, argv=arguments, flags_parser=parse_flags)
