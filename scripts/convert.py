"""Converts raw data sets to TFRecords, on all cores.

    python scripts/convert.py --dataset=voc2012 --raw_dir=raw/VOCdevkit --data_dir=data
    python scripts/convert.py --dataset=coco_voc,sbd,voc2012 --raw_dir=raw/coco,raw/voc,raw/voc --data_dir=data
    python scripts/convert.py --dataset=folder --raw_dir=my_pictures --name=my_pictures --data_dir=data
    python scripts/convert.py --dataset=voc2012 --raw_dir=raw/VOCdevkit --name=pets --classes=background,cat,dog
    python scripts/convert.py --dataset=folder --raw_dir=my_pictures --label_map=0:0,255:1 --mask_suffix=_mask \\
        --val_share=0.2 --data_dir=data
    python scripts/convert.py --dataset=folder --raw_dir=satellite --name=satellite --channels=4 --data_dir=data
    python scripts/convert.py --dataset=scenes --raw_dir=raw/scenes --data_dir=data
    python scripts/convert.py --dataset=my_source.py --raw_dir=raw/mine --data_dir=data

After a kill, the same command continues where it was. The pictures of `scenes` are painted first, if the raw folder has
none. At the end it prints a table of the splits.
"""

import contextlib

from absl import flags

from deeplab_ksac.datasets import CATALOG, default_name, is_file, source
from deeplab_ksac.datasets.info import did_you_mean, is_converted
from deeplab_ksac.errors import printable
from deeplab_ksac.scripts.commandline import large_pictures, reading_flags, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import SplitProgress


def define_flags():
    """Defines the flags of this script."""
    flags.DEFINE_list(
        "dataset",
        None,
        f"Data set to convert, or several: {', '.join(CATALOG)} (tfds:name, hf:path), or a file of your own that reads "
        "one, my_source.py.",
    )
    flags.DEFINE_list(
        "raw_dir",
        None,
        "Folder of the raw data set, one for each or one for all; for `scenes` the pictures are painted there.",
    )
    flags.DEFINE_string("data_dir", "data", "Folder for converted data sets.")
    flags.DEFINE_list("splits", None, "Splits to convert (default: all that the raw folder has).")
    flags.DEFINE_bool("overwrite", False, "Whether an existing data set of this name may be replaced.")
    flags.DEFINE_bool(
        "allow_other_counts", False, "Whether a split may differ from its official size, or lack files it lists."
    )
    flags.DEFINE_enum(
        "rotation",
        "refuse",
        ["refuse", "stored", "upright"],
        "What to do with images with EXIF rotation if the size of the mask does not tell which form it belongs to.",
    )
    large_pictures.define_flag()
    reading_flags.define()
    values.whole_number("processes", None, "Number of processes (default: all cores).", least=1, most=1024)
    flags.DEFINE_string("name", None, "Name of the converted data set (default: that of the data set).")
    flags.DEFINE_list(
        "classes",
        None,
        "Classes that are kept, in this order; pixels of others are ignored (default: all). It wants a --name.",
    )
    values.whole_number("seed", 0, "Seed of the generated pictures (scenes).")
    values.counts("scenes_counts", None, "Generated pictures by split (scenes), as in train=1000,val=200.")
    values.height_and_width("scenes_size", None, "Height and width of the generated pictures (scenes), as in 161,193.")
    flags.mark_flags_as_required(["dataset", "raw_dir"])


def paint_scenes(raw_dir, given):
    """Generates the raw pictures of `scenes` where `raw_dir` holds none."""
    scenes = source("scenes")
    if scenes.find_splits(raw_dir):
        return
    with contextlib.closing(SplitProgress("painting")) as progress:
        scenes.generate(raw_dir, counts=given.scenes_counts, size=given.scenes_size, seed=given.seed, progress=progress)


def convert(dataset, raw_dir, given):
    """Converts a data set and prints the table of its splits."""
    # Imported here because the processes that paint pictures import this file again, and need no TensorFlow.
    from deeplab_ksac.datasets import records
    from deeplab_ksac.datasets.findings import find_useless_labels

    with contextlib.closing(SplitProgress("writing")) as progress:
        info = records.write_records(
            dataset,
            raw_dir,
            given.data_dir,
            splits=given.splits,
            overwrite=given.overwrite,
            allow_other_counts=given.allow_other_counts,
            rotation=given.rotation,
            processes=given.processes,
            dataset_name=given.name,
            classes=given.classes,
            reading=reading_flags.reading(given),
            held_out=reading_flags.held_out(given),
            progress=progress,
            tell=lambda line: print(printable(line)),
        )
    print(info.table())
    for sentence in find_useless_labels(info, info.num_examples):
        print(f"WARNING: {printable(sentence)}")


def run(given):
    """Converts what the flags name, one after another, painting `scenes` first; returns the exit status."""
    pairs = chosen(given)
    large_pictures.allow(given)
    for dataset, raw_dir in pairs:
        if len(pairs) > 1:
            print(dataset)
            if not given.overwrite and is_converted(default_name(dataset), given.data_dir):
                print(f"is in {given.data_dir} already and is left alone (--overwrite converts it again)")
                continue
        if dataset == "scenes":
            paint_scenes(raw_dir, given)
        convert(dataset, raw_dir, given)
    return 0


def chosen(given):
    """[(data set, its raw folder)] that the flags name."""
    unknown = [name for name in given.dataset if not is_file(name) and name.partition(":")[0] not in CATALOG]
    if unknown:
        raise ValueError(
            f"--dataset: {unknown[0]!r} is none of {', '.join(CATALOG)}{did_you_mean(unknown[0], CATALOG)}"
        )
    folders = given.raw_dir * len(given.dataset) if len(given.raw_dir) == 1 else given.raw_dir
    if len(folders) != len(given.dataset):
        raise ValueError(f"--raw_dir names {len(folders)} folders for the {len(given.dataset)} data sets of --dataset")
    if given.classes and len(given.dataset) > 1:
        raise ValueError(f"--classes is for one data set, not for {', '.join(given.dataset)}")
    if given.name and len(given.dataset) > 1:
        raise ValueError(f"--name={given.name} is for one data set, not for {', '.join(given.dataset)}")
    return list(zip(given.dataset, folders, strict=True))


if __name__ == "__main__":
    start("convert", define_flags, run)
