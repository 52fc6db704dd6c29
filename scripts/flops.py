"""Counts parameters and multiply-adds of an experiment, a SavedModel or the thesis's tables.

    ksac flops --config=table_4_1:R8
    ksac flops --config=scenes_ksac --config.model.output_stride=8 --size=513,1025
    ksac flops --saved_model=served/scenes --size=257
    ksac flops --tables=2.1,3.1,4.4

Nothing is run and no weights are needed. G is 2^30, a multiply-add counts one, as in the thesis; beside the true count
stands its convention (`deeplab_ksac/flops/convention.py` says what that holds).
"""

import logging

from absl import flags

from deeplab_ksac.scripts.commandline import config, values
from deeplab_ksac.scripts.commandline.entry import start

OF_AN_EXPERIMENT = ("num_classes", "training", "chapter")  # flags


def define_flags():
    """What is counted, and for which image."""
    config.define_flag()
    flags.DEFINE_string("saved_model", None, "folder of a SavedModel, instead of an experiment")
    flags.DEFINE_list("tables", None, "numbers of thesis tables that have FLOPs, instead of an experiment: 2.1,3.1,4.4")
    values.height_and_width(
        "size", "513", "height and width of the image in pixels, or one number for both", square=True
    )
    values.whole_number(
        "num_classes", None, "of an experiment (default: the number of its data set's)", least=1, most=65_535
    )
    flags.DEFINE_bool("training", False, "the forward pass of training, with CAR's projection and auxiliary outputs")
    values.whole_number(
        "chapter", None, "whose convention (default: of an experiment's table, else 2)", least=2, most=4
    )


def run(given):
    """Prints the counts of what was `given` by flags.

    Raises:
        ValueError: not exactly one of experiment, SavedModel and tables, or a flag of `OF_AN_EXPERIMENT` without one.
    """
    chosen = [name for name in ("config", "saved_model", "tables") if getattr(given, name)]
    if len(chosen) != 1:
        raise ValueError(f"give one of --config, --saved_model and --tables, not {' and '.join(chosen) or 'none'}")
    for name in () if given.config else OF_AN_EXPERIMENT:
        if getattr(given, name):
            raise ValueError(f"--{chosen[0]} has no use for --{name}; leave it out")
    experiment = config.chosen(given.config) if given.config else None
    height, width = given.size
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its own profiler uses what it calls deprecated

    from deeplab_ksac.flops import count_saved_model, tables

    if given.tables:
        for number in given.tables:
            print(tables.table(number, height, width))
    elif given.saved_model:
        print(f"{given.saved_model}, {height}x{width}\n{count_saved_model(given.saved_model, height, width)}")
    else:
        spec = experiment.model if given.training else tables.folded(experiment.model)
        of = (spec, given.num_classes or tables.num_classes(experiment), height, width)
        chapter = given.chapter or tables.chapter_of(experiment)
        kind = "forward pass of training" if given.training else "inference"
        print(f"{experiment.name}, {height}x{width}, {of[1]} classes, {kind}")
        print(tables.count_spec(*of, training=given.training))
        printed = tables.convention_gflops(*of, chapter, training=given.training)
        print(f"in the convention of the thesis's chapter {chapter}: {printed:.3f} G")
        if spec.head.name == "ksac":
            print("KSAC counted as merge='concat', method='direct', deeplab_ksac.flops.convention says why")
    return 0


if __name__ == "__main__":
    start("flops", define_flags, run)
