"""Counts parameters and multiply-adds of an experiment, a SavedModel or the thesis's tables.

    python scripts/flops.py --config=table_4_1:R8
    python scripts/flops.py --config=scenes_ksac --config.model.output_stride=8 --size=513,1025
    python scripts/flops.py --saved_model=served/scenes --size=257
    python scripts/flops.py --tables=2.1,3.1,4.4

Nothing is run and no weights are needed. G is 2^30, a multiply-add counts one, as in the thesis; beside the true count
stands its convention (`deeplab_ksac/thesis_flops.py` says what that holds).
"""

import re
import sys

from absl import flags

from deeplab_ksac.flops import tables as table_flops
from deeplab_ksac.scripts.commandline import config
from deeplab_ksac.scripts.commandline.entry import start


def define_flags():
    """What is counted, and for which image."""
    config.define_flag()
    flags.DEFINE_string("saved_model", None, "folder of a SavedModel, instead of an experiment")
    flags.DEFINE_list("tables", None, "numbers of thesis tables that have FLOPs, instead of an experiment: 2.1,3.1,4.4")
    flags.DEFINE_list("size", ["513"], "height and width of the image in pixels, or one number for both")
    flags.DEFINE_integer("num_classes", None, "number of classes (default: those of the experiment's data set)")
    flags.DEFINE_bool("training", False, "the forward pass of training, CAR's projection and auxiliary outputs with it")
    flags.DEFINE_integer(
        "chapter", None, "whose convention (default: the table's, else 2)", lower_bound=2, upper_bound=4
    )


def run(given):
    """Prints the counts of what was `given` by flags.

    Raises:
        ValueError: not exactly one of experiment, SavedModel and tables, or a size that is none.
    """
    chosen = [name for name in ("config", "saved_model", "tables") if getattr(given, name)]
    if len(chosen) != 1:
        raise ValueError(f"give one of --config, --saved_model and --tables, not {' and '.join(chosen) or 'none'}")
    height, width = image_size(given.size)
    if given.tables:
        for number in given.tables:
            print(table_flops.table(number, height, width))
    elif given.saved_model:
        print(of_saved_model(given.saved_model, height, width))
    else:
        print(of_experiment(given, height, width))
    return 0


def image_size(words):
    """(height, width) from "513" or "513,1025".

    Raises:
        ValueError: other than one or two numbers of at least 1.
    """
    sides = [int(word) if re.fullmatch(r"[1-9]\d*", word) else None for word in words]
    if len(sides) not in (1, 2) or None in sides:
        raise ValueError(
            f"--size must be one or two numbers of pixels, such as 513 or 513,1025, not {','.join(words)!r}"
        )
    return sides[0], sides[-1]


def of_experiment(given, height, width):
    """The counts of an experiment's model, as text."""
    from deeplab_ksac.experiment import from_config_dict
    from deeplab_ksac.flops import convention as thesis_flops
    from deeplab_ksac.flops import count as flops

    experiment = from_config_dict(given.config)
    classes = given.num_classes or table_flops.num_classes(experiment)
    spec = experiment.model if given.training else table_flops.folded(experiment.model)
    model, graph = table_flops.traced(spec, classes, height, width, training=given.training)
    counts = flops.by_part(flops.count_multiply_adds(graph))
    match = re.match(r"table_(\d)", experiment.name)
    chapter = given.chapter or (int(match[1]) if match else 2)
    printed = table_flops.convention_gflops(spec, classes, height, width, chapter, training=given.training)
    kind = "forward pass of training" if given.training else "inference"
    return "\n".join((
        f"{experiment.name}, {height}x{width}, {classes} classes, {kind}",
        listed(flops.count_parameters(model), counts),
        f"in the convention of the thesis's chapter {chapter}: {printed:.3f} G",
        *([f"KSAC counted as merge='concat', method='direct', {thesis_flops.__name__} says why"]
          if spec.head.name == "ksac" else []),
    ))  # fmt: skip


def of_saved_model(path, height, width):
    """The counts of a SavedModel, as text."""
    import math

    from deeplab_ksac.flops import count as flops

    graph, variables = flops.saved_model_graph(path, height, width)
    parameters = flops.by_part({variable.name: math.prod(variable.shape) for variable in variables})
    counts = flops.by_part(flops.count_multiply_adds(graph))
    return f"{path}, {height}x{width}\n{listed(parameters, counts)}"


def listed(parameters, counts):
    """A table of the parts: parameters and multiply-adds."""
    lines = [f"{'part':<12}{'parameters':>16}{'multiply-adds':>18}"]
    parts = {**parameters, **counts}
    for part in parts:
        lines.append(f"{part:<12}{parameters.get(part, 0):>16,}{counts.get(part, 0) / 2**30:>16.4f} G")
    lines.append(f"{'all':<12}{sum(parameters.values()):>16,}{sum(counts.values()) / 2**30:>16.4f} G")
    return "\n".join(lines)


if __name__ == "__main__":
    start("flops", define_flags, run, argv=config.with_config_file(sys.argv))
