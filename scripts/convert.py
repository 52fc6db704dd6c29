"""Converts a raw data set to TFRecords.

    python scripts/convert.py --dataset=voc2012 --raw_dir=raw/VOCdevkit --data_dir=data
    python scripts/convert.py --dataset=folder --raw_dir=my_pictures --name=my_pictures --data_dir=data
    python scripts/convert.py --dataset=scenes --raw_dir=raw/scenes --data_dir=data

The pictures of `scenes` are painted first, where the raw folder holds none. At the end stands a table of the splits.
"""

from absl import app, flags, logging

from scripts.output import exit_status
from scripts.progress import Progress
from datasets import CATALOG, source

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this script."""
    flags.DEFINE_enum("dataset", None, sorted(CATALOG), "Data set to convert.")
    flags.DEFINE_string("raw_dir", None, "Folder with the raw data set; for `scenes` it is filled where it is empty.")
    flags.DEFINE_string("data_dir", "data", "Folder for converted data sets.")
    flags.DEFINE_list("splits", None, "Splits to convert; all that the raw folder holds where not given.")
    flags.DEFINE_bool("overwrite", False, "Whether an existing data set of this name may be replaced.")
    flags.DEFINE_bool("allow_other_counts", False, "Whether a split may differ from its official size.")
    flags.DEFINE_string("name", None, "Name of the converted data set; that of the data set where not given.")
    flags.DEFINE_integer("seed", 0, "Seed of the generated pictures (scenes).")
    flags.DEFINE_list("scenes_counts", ["train=1000", "val=200"], "Generated pictures by split (scenes).")
    flags.DEFINE_list("scenes_size", ["161", "193"], "Height and width of the generated pictures (scenes).")
    flags.mark_flags_as_required(["dataset", "raw_dir"])


class SplitProgress:
    """A `progress` callback of `datasets`: one `Progress` for each split."""

    def __init__(self, verb):
        self.verb, self.split, self.bar = verb, None, None

    def __call__(self, split, done, total):
        if split != self.split:
            self.close()
            self.split, self.bar = split, Progress(total, f"{self.verb} {split}")
        self.bar.update(done - self.bar.done)

    def close(self):
        """Ends the line of the last split."""
        if self.bar is not None:
            self.bar.close()


def paint_scenes():
    """Generates the raw pictures of `scenes` where `--raw_dir` holds none."""
    scenes = source("scenes")
    if scenes.find_splits(FLAGS.raw_dir):
        return
    progress = SplitProgress("painting")
    counts = dict(map(split_and_count, FLAGS.scenes_counts))
    scenes.generate(
        FLAGS.raw_dir, counts=counts, size=tuple(map(int, FLAGS.scenes_size)), seed=FLAGS.seed, progress=progress
    )
    progress.close()


def split_and_count(item):
    """("train", 1000) from "train=1000"."""
    split, _, count = item.partition("=")
    if not split or not count.isdigit():
        raise ValueError(f"--scenes_counts: expected split=number, not {item!r}")
    return split, int(count)


def table(info):
    """The converted splits, one a line: images, classes, share of ignored pixels."""
    lines = [f"{'split':<12} {'images':>8} {'classes':>8} {'ignored':>8}"]
    for split, count in info.num_examples.items():
        lines.append(f"{split:<12} {count:>8} {info.num_classes:>8} {info.ignored_share(split):>8.2%}")
    return "\n".join(lines)


def convert():
    """Converts what the flags name and prints the table of its splits; returns the exit status."""
    # Imported here because the processes that paint pictures import this file again, and need no TensorFlow.
    from datasets import records

    progress = SplitProgress("writing")
    try:
        info = records.write_records(
            FLAGS.dataset,
            FLAGS.raw_dir,
            FLAGS.data_dir,
            splits=FLAGS.splits,
            overwrite=FLAGS.overwrite,
            allow_other_counts=FLAGS.allow_other_counts,
            dataset_name=FLAGS.name,
            progress=progress,
        )
    finally:
        progress.close()
    print(table(info))
    return 0


def run():
    """Paints where needed, then converts; returns the exit status."""
    if FLAGS.dataset == "scenes":
        paint_scenes()
    return convert()


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)  # tensorflow-datasets tells of every file
    return exit_status(run, name="convert")


if __name__ == "__main__":
    define_flags()
    app.run(main)
