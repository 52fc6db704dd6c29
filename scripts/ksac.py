"""`ksac <command> --flag=value …`: the commands of this package under one name.

    ksac --help
    ksac train --help
    ksac train --config=scenes_ksac --workdir=runs/scenes --data_dir=data

`ksac <command>` is what `python -m deeplab_ksac.scripts.<command>` is.
"""

import difflib
import importlib.metadata
import runpy
import sys

from deeplab_ksac.scripts.commandline.stdout import written

COMMANDS = {  # module of this package -> the first line of its docstring; the modules are not loaded to list them
    "convert": "Converts raw data sets to TFRecords, on all cores.",
    "inspect_data": "Looks through a data set before training: numbers, contact sheet, warnings.",
    "select_pictures": "Makes a data set of some pictures of others: the first, evenly spread ones, those of a list.",
    "train": "Trains an experiment, or continues a run that was stopped.",
    "cache_features": "Computes a frozen backbone's features of all pictures once, for heads to be trained on.",
    "evaluate": "Evaluates a trained model on a split of a data set: mIoU, per-class table, boundaries, pictures.",
    "predict": "Predicts images and videos with a trained model, each at its own size.",
    "segment": "Segments images and videos by a server: an exported model behind TensorFlow Serving.",
    "submit": "Predicts a benchmark's test set and packs what its server takes: PASCAL VOC 2012, Cityscapes.",
    "save": "Saves a trained model as a folder of JSON and safetensors, which is loaded without its training run.",
    "export": "Writes a trained model in a form that needs none of this project's code, and checks it.",
    "formats": "Tries every backbone and head in every format of export, and writes a table of what works.",
    "visualize": "Draws the thesis's figures for trained models: a PNG each, and the arrays behind it as npz.",
    "run_page": "Writes one page for a training run: its evaluations, learning curves and figures.",
    "report": "Sets what was measured beside the thesis's numbers: all tables, with learning curves.",
    "study": "Tries the thesis's claims on generated scenes made for them: several seeds, mean and spread.",
    "paired_study": "Compares heads on cached features of photographs: paired by seed, with bootstrap intervals.",
    "flops": "Counts parameters and multiply-adds of an experiment, a SavedModel or the thesis's tables.",
    "scale": "Works out what training needs on many devices, before there are any: memory, network, pictures a second.",
    "backbones": "Prints the backbones' sizes beside the thesis's, or their features' errors against timm's.",
    "benchmark": "Measures speed and memory as ratios of two sides within one run.",
}


def main() -> int | str | None:
    """Runs the command that the command line names; what `sys.exit` takes."""
    name, *words = sys.argv[1:] or ["--help"]
    name = name if name.startswith("-") else name.replace("-", "_")
    if name in ("--help", "-h", "help"):
        return written(lambda: print(listed()), name="ksac")
    if name == "--version":
        return written(lambda: print(importlib.metadata.version("deeplab-ksac")), name="ksac")
    if name not in COMMANDS:
        begun = [command for command in COMMANDS if name and command.startswith(name)]
        near = begun or difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        print(f"ksac: no command is named {name!r};{hint} there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 1
    sys.argv[1:] = words
    runpy.run_module(f"deeplab_ksac.scripts.{name}", run_name="__main__", alter_sys=True)
    return 0


def listed() -> str:
    """The commands, one a line."""
    lines = [f"  {name:<15} {sentence}" for name, sentence in COMMANDS.items()]
    return "\n".join((
        "usage: ksac <command> --flag=value …", "", *lines, "",
        "ksac <command> --help lists the flags of a command, ksac --version tells the version.",
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
