"""Trains an experiment, or continues a run that was stopped.

    ksac train --config=scenes_ksac --workdir=runs/scenes --data_dir=data
    ksac train --config=camvid_ksac --config.stages[0].steps=100 --workdir=runs/try --data_dir=data
    ksac train --config=finetune --data=mine --init_from=runs/camvid --workdir=runs/mine --data_dir=data
    ksac train --config=my_experiment.py --workdir=runs/mine --data_dir=data
    ksac train --config=runs/mine/experiment.json --config.seed=1 --workdir=runs/again --data_dir=data

The experiment says what is trained, the other flags where. It is one by its name, the EXPERIMENT of a Python file, or
the JSON of another run. Every field of the experiment can be overridden. `finetune` is derived from the number and the
sizes of the pictures of a data set, and prints what it derives. It starts from the network that comes with this
package, or from --init_from or --backbone_weights; --init_from=random starts anew.

Exit status: 0 trained, 1 an error that the last line names, 42 stopped before the end (SIGTERM or SIGUSR1 came, or
another worker was lost): the same command, on every worker, continues.
"""

import functools
import sys

from absl import flags

from deeplab_ksac.errors import printable
from deeplab_ksac.experiments import finetune
from deeplab_ksac.experiments.finetune import FINETUNE
from deeplab_ksac.scripts.commandline import config, devices, values
from deeplab_ksac.scripts.commandline.ending import restart_status
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.model import MODEL, define_code_flag
from deeplab_ksac.scripts.commandline.progress import Progress

RANDOM = "random"  # of --init_from: no weights


def define_flags():
    """The experiment and where it runs."""
    config.define_flag()
    flags.DEFINE_string("data", None, "the data set of --config=finetune, or one of its splits: mine, mine/train")
    flags.DEFINE_string("workdir", None, "folder of the run: configuration, checkpoints, events, metrics")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string(
        "init_from",
        None,
        f"trained model whose weights the first stage starts from: {MODEL}; {RANDOM}: none (default: of "
        f"--config={FINETUNE} {finetune.START}, else {RANDOM})",
    )
    flags.DEFINE_string(
        "backbone_weights",
        None,
        "weights for the first stage's backbone: imagenet (Keras'), an h5 or safetensors file, timm's folder or "
        "hf://timm/<name>",
    )
    flags.DEFINE_string(
        "strategy",
        "auto",
        "auto, one_device, mirrored, multi_worker (reads TF_CONFIG, or Slurm's variables) or tpu",
        short_name="s",
    )
    flags.DEFINE_string("tpu", "", "address of the TPU, for --strategy=tpu")
    values.whole_number(
        "cpu_replicas", 1, "logical devices made of the CPU, to try --strategy=mirrored", least=1, most=64
    )
    devices.define_flags()
    flags.DEFINE_bool(
        "jit", False, "compile the step as a whole by XLA, for one replica: minutes of compiling, then faster"
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
    define_code_flag()
    flags.DEFINE_bool("start_over", False, "begin a stage again whose checkpoints are lost; the rest is set aside")
    flags.mark_flags_as_required(["config", "workdir", "data_dir"])


def run(given):
    """Trains and prints how it ended; the exit status."""
    if (given.config == FINETUNE) != (given.data is not None):
        raise ValueError(f"--config={FINETUNE} and --data=<a converted data set> go together")
    experiment = None if given.data else config.chosen(given.config)

    return restart_status(lambda: train_and_tell(experiment, given), name="train")


def train_and_tell(experiment, given):
    """Trains and prints the figures, or what else there is to say at the end; 0."""
    figures = train(experiment, given)
    if figures is not None:
        print(f"mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")
    elif given.mode == "train":
        print(f"{given.workdir} is trained; `ksac evaluate` evaluates it")
    else:
        print(f"{given.workdir} was already finished")
    return 0


def derived_from(given, replicas):
    """The experiment that fine-tunes on the data set of --data; prints what was derived and not overridden."""
    from deeplab_ksac.datasets.info import load_info
    from deeplab_ksac.datasets.sizes import sample_sizes
    from deeplab_ksac.datasets.splits import Split
    from deeplab_ksac.models.loading import experiment_of

    split = Split.parse(given.data) if "/" in given.data else None
    info = load_info(split.dataset if split else given.data, given.data_dir)
    train_split = finetune.split_to_train(info, split and split.name)
    sizes = sample_sizes([f"{info.name}/{train_split}"], given.data_dir)
    source = start_of(given)
    if source and not given.init_from:
        print(f"--init_from={source}  (a network that comes with this package)", file=sys.stderr)
    weights = "model" if source else "backbone" if given.backbone_weights else "random"
    model = {"model": experiment_of(source, allow_code=given.allow_code).model} if source else {}
    experiment, derived = finetune.finetune(info, sizes, split=train_split, weights=weights, replicas=replicas, **model)
    for path, value, reason in derived:
        if not config.is_overridden(path):
            print(f"--config.{path}={shown(value)}  ({reason})", file=sys.stderr)
    return config.chosen(FINETUNE, experiment)


def shown(value):
    """A derived value as it would be given on a command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def start_of(given):
    """The trained model that a run starts from; None for none."""
    if given.init_from or given.backbone_weights or given.config != FINETUNE:
        return None if given.init_from == RANDOM else given.init_from
    return finetune.START


def train(experiment, given):
    """Sets up devices, strategy, precision and seeds, then hands over to `training.loop.train`; its figures.

    With --data the experiment is derived from the pictures, once devices and strategy are ready: TensorFlow reads them,
    and takes no other workers after that.
    """
    from deeplab_ksac.keras2 import keras
    from deeplab_ksac.training import loop
    from deeplab_ksac.training import strategy as strategies
    from deeplab_ksac.training.forewarning import forewarnings

    with values.named():
        computing = devices.prepare(given)
        if given.cpu_replicas > 1:
            strategies.split_cpu(given.cpu_replicas)
        strategies.set_precision(given.precision)
        strategy = strategies.create_strategy(given.strategy, given.tpu)
    if given.data:
        experiment = derived_from(given, strategy.num_replicas_in_sync)
    if given.deterministic:
        strategies.make_deterministic(experiment.seed)
    else:
        keras.utils.set_random_seed(experiment.seed)
    replicas = f"{strategy.num_replicas_in_sync} replica(s)"
    print(f"{experiment.name} on {replicas}, {given.precision}: {computing}", file=sys.stderr)
    start = {"replicas": strategy.num_replicas_in_sync, "trained_before": start_of(given) is not None}
    for sentence in forewarnings(experiment, given.data_dir, **start):
        print(f"WARNING: {printable(sentence)}", file=sys.stderr)
    return loop.train(
        experiment,
        data_dir=given.data_dir,
        workdir=given.workdir,
        strategy=strategy,
        init_from=start_of(given),
        backbone_weights=given.backbone_weights,
        progress=Progress,
        evaluates=given.mode == "train_and_eval",
        deterministic=given.deterministic,
        jit=given.jit,
        start_over=given.start_over,
        allow_new_layers=given.allow_new_layers,
        allow_code=given.allow_code,
        tell=functools.partial(print, file=sys.stderr),
    )


if __name__ == "__main__":
    start("train", define_flags, run)
