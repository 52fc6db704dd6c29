"""How many labeled pictures it takes: CamVid's first 25, 50, 100 and 200, by what the weights are at first.

    python examples/few_pictures.py --raw_dir=<CamVid> --workdir=runs/few --backbone_weights=<Lite0 of timm>

Each network is `camvid_lite0`, trained for 450 steps, 13 to 14 minutes on two cores: from random weights, from
ImageNet's (a file of timm's tf_efficientnet_lite0, model.safetensors), and from the network that comes with this
package. What was trained or evaluated before is not done again. Leaves few_pictures.md and few_pictures.svg in the
workdir.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import matplotlib
from absl import app, flags
from matplotlib.figure import Figure

COUNTS = (25, 50, 100, 200)
SPLITS = ("val", "test")
STEPS = 450
COLORS = {"random": "#8d5fb0", "imagenet": "#a8832c", "shipped": "#2f8f5b"}
NAMES = {"random": "random weights", "imagenet": "ImageNet", "shipped": "animals_ksac_lite0"}
GRAY = "#808080"  # legible on white and on black


def define_flags():
    """Where the pictures are, where the runs go, and what is done of the study."""
    flags.DEFINE_string("raw_dir", None, "CamVid in SegNet's form", required=True)
    flags.DEFINE_string("workdir", None, "folder of runs and results", required=True)
    flags.DEFINE_string(
        "backbone_weights", None, "timm's tf_efficientnet_lite0; without it no training starts from ImageNet"
    )
    flags.DEFINE_list("counts", list(map(str, COUNTS)), "numbers of training pictures")
    flags.DEFINE_list("weights", list(COLORS), f"of {', '.join(COLORS)}")
    flags.DEFINE_integer("steps", STEPS, "optimizer steps of each training", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "of each training", lower_bound=0)


def ksac(command, *arguments, words=()):
    """Runs a command of the toolkit, which is shown."""
    words = [*words, *(f"--{name}={value}" for name, value in arguments)]
    print("ksac", command, *map(shlex.quote, words), flush=True)
    subprocess.run([sys.executable, "-m", "deeplab_ksac.scripts.ksac", command, *words], check=True)


def initial_weights(name, backbone_weights):
    """The arguments that say which weights a training starts from; a random backbone learns as fast as its head."""
    if name == "imagenet":
        return [("backbone_weights", backbone_weights)]
    if name == "shipped":
        return [("init_from", "animals_ksac_lite0")]
    return [("config.stages[0].optimizer.args.backbone_lr", 1.0)]


def first_pictures(count, raw_dir, data_dir):
    """The name of the data set of CamVid's val and test and of its first `count` training pictures; makes it."""
    name = f"camvid{count}"
    if not (data_dir / "camvid").exists():
        reading = [("dataset", "camvid"), ("raw_dir", raw_dir), ("allow_other_counts", True)]
        ksac("convert", *reading, ("data_dir", data_dir))
    if not (data_dir / name).exists():
        splits = (f"train=camvid/train,first={count}", *(f"{split}=camvid/{split}" for split in SPLITS))
        ksac("select_pictures", ("name", name), ("data_dir", data_dir), words=splits)
    return name


def check_steps(run, steps):
    """Raises ValueError where a run was trained for another number of steps than its results are to be of."""
    (stage,) = json.loads((run / "experiment.json").read_text())["stages"]
    if stage["steps"] != steps:
        raise ValueError(f"{run} was trained for {stage['steps']} steps, not {steps}; name another --workdir")


def trained(name, count, given):
    """{split: mIoU} of one training."""
    place = pathlib.Path(given.workdir)
    data, run = ("data_dir", place / "data"), place / f"{name}_{count}_seed{given.seed}"
    dataset = first_pictures(count, given.raw_dir, place / "data")
    found = {split: run / f"eval_{dataset}_{split}_ms1.5.json" for split in SPLITS}
    if not all(map(pathlib.Path.exists, found.values())):
        changes = {
            "config": "camvid_lite0",
            "config.seed": given.seed,
            "config.stages[0].data.sources": f"{dataset}/train",
            "config.stages[0].steps": given.steps,
            "config.stages[0].ema_decay": round(1 - 5 / max(given.steps, 10), 4),
            # statistics that reach farther back are not those of weights that were random so few steps ago
            "config.model.norm.momentum": round(1 - 20 / max(given.steps, 40), 4),
            "config.evaluation.dataset": f"{dataset}/val",
            "config.evaluate_every": 0,
            "deterministic": True,
        }
        start = initial_weights(name, given.backbone_weights)
        ksac("train", *changes.items(), *start, data, ("workdir", run))
        for split in SPLITS:
            ksac("evaluate", ("workdir", run), data, ("dataset", f"{dataset}/{split}"), ("sheet", 4))
    check_steps(run, given.steps)
    return {split: json.loads(path.read_text())["miou"] for split, path in found.items()}


def as_markdown(results):
    """A table of {initial weights: {count: {split: mIoU}}} in percent."""
    counts = list(next(iter(results.values())))
    lines = ["| pictures | " + " | ".join(map(str, counts)) + " |", "|---|" + "---|" * len(counts)]
    for name, by_count in results.items():
        for split in SPLITS:
            cells = (f"{100 * by_count[count][split]:.1f}" for count in counts)
            lines.append(f"| {NAMES[name]}, {split} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(results, path):
    """The mIoU by the number of pictures as SVG, a panel for each split."""
    settings = {"svg.hashsalt": "few pictures", "svg.fonttype": "path", "font.size": 10}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(7.6, 3.2), layout="constrained")
        for axes, split in zip(figure.subplots(1, len(SPLITS), sharey=True), SPLITS, strict=True):
            for name, by_count in results.items():
                values = [100 * each[split] for each in by_count.values()]
                axes.plot(list(by_count), values, color=COLORS[name], marker="o", ms=4, label=NAMES[name])
            counts = list(next(iter(results.values())))
            axes.set_xscale("log")
            axes.set_xticks(counts, list(map(str, counts)))
            axes.minorticks_off()
            axes.set_title(f"CamVid {split}", color=GRAY, fontsize=10)
            axes.set_xlabel("labeled pictures", color=GRAY)
            axes.grid(color=GRAY, alpha=0.3, linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(GRAY)
            axes.tick_params(colors=GRAY)
        figure.axes[0].set_ylabel("mIoU in %", color=GRAY)
        figure.axes[0].legend(frameon=False, labelcolor=GRAY)
        title = "mIoU on CamVid by the number of labeled pictures"
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Title": title})


def main(arguments):
    """Trains, evaluates, writes table and figure."""
    given, counts = flags.FLAGS, sorted(map(int, flags.FLAGS.counts))
    if min(counts, default=0) < 1:
        raise app.UsageError(f"--counts are whole numbers from 1 on, not {','.join(given.counts)}")
    if arguments[1:]:
        raise app.UsageError(f"unknown argument {arguments[1]}")
    names = [name for name in given.weights if name != "imagenet" or given.backbone_weights]
    unknown = set(names) - set(COLORS)
    if unknown:
        raise app.UsageError(f"--weights: {unknown.pop()!r} is none of {', '.join(COLORS)}")
    if not names:
        raise app.UsageError(f"--weights={','.join(given.weights)} needs --backbone_weights")
    results = {name: {count: trained(name, count, given) for count in counts} for name in names}
    place = pathlib.Path(given.workdir)
    table = as_markdown(results)
    (place / "few_pictures.md").write_text(table)
    draw(results, place / "few_pictures.svg")
    print(table)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    define_flags()
    try:
        app.run(main)
    except subprocess.CalledProcessError as failed:  # the command has said why
        sys.exit(failed.returncode)
    except (OSError, ValueError) as error:
        sys.exit(f"few_pictures: {error}")
