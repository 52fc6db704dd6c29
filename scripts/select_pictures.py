"""Makes a data set of some pictures of others: the first, evenly spread ones, those of a list.

    ksac select_pictures train=animals/train_aug,first=25 val=animals/val --name=few --data_dir=data
    ksac select_pictures train=animals/train_aug,list=mine.txt --name=mine --data_dir=data
    ksac select_pictures train=animals/train_aug,leave_out=mine.txt,unlabeled --name=rest --data_dir=data
    ksac select_pictures train=street/train,spread=100 train=park/train,spread=100 --name=both --data_dir=data

Each word is <split>=<data set>/<split of it>, all of it unless something follows. A split that is named again is made
of all that is named. What follows is done in the order in which it is written:

    first=N          the first N pictures, as they are stored
    skip=N           all but the first N
    spread=N         N pictures, evenly spread
    list=FILE        the pictures of a text file with a file name a line, with or without .jpg or the like
    leave_out=FILE   all but those
    unlabeled        every pixel of them is ignored, whatever is known of it

Records are copied as they are, in stored order. At the end it prints a table of the splits.
"""

import contextlib
import re

from absl import flags

from deeplab_ksac.arguments import LARGEST
from deeplab_ksac.datasets.info import did_you_mean, load_info
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import SplitProgress

BY_NUMBER, BY_FILE, UNLABELED = ("first", "skip", "spread"), ("list", "leave_out"), "unlabeled"
KNOWN = (*BY_NUMBER, *BY_FILE, UNLABELED)
WORDS = "train=animals/train,first=25"


def define_flags():
    """What the new data set is called, and where it is."""
    flags.DEFINE_string("name", None, "Name of the new data set.")
    flags.DEFINE_string("data_dir", "data", "Folder of the converted data sets; the new one becomes one of them.")
    flags.DEFINE_bool("overwrite", False, "Whether an existing data set of this name may be replaced.")
    flags.mark_flag_as_required("name")


def run(*words):
    """Makes the data set and prints the table of its splits; returns the exit status."""
    *words, given = words
    asked = [read(word) for word in words]
    for _, source, _ in asked:
        load_info(Split.parse(source).dataset, given.data_dir)  # a misspelt name need not wait for TensorFlow

    from deeplab_ksac.datasets.selection import select_records

    splits = {}
    for split, source, options in asked:
        splits.setdefault(split, []).append(selected(source, options, given.data_dir))
    with contextlib.closing(SplitProgress("copying")) as progress:
        info = select_records(given.name, given.data_dir, splits, overwrite=given.overwrite, progress=progress)
    print(info.table())
    return 0


def read(word):
    """(split, source, [(option, value)]) of a word such as "train=animals/train,first=25,unlabeled"."""
    split, _, rest = word.partition("=")
    source, *options = rest.split(",")
    if not split or not source:
        raise ValueError(f"{word!r} is not <split>=<data set>/<split>, such as {WORDS}")
    return split, source, [_option(word, *option.partition("=")) for option in options]


def _option(word, name, equals, value):
    """(option, value) of a part of a word; a number where it is one."""
    if name not in KNOWN:
        raise ValueError(f"{word!r}: {name!r} is none of {', '.join(KNOWN)}{did_you_mean(name, KNOWN)}")
    if name == UNLABELED:
        if equals:
            raise ValueError(f"{word!r}: {name} takes no value")
        return name, None
    if name in BY_FILE:
        if not value:
            raise ValueError(f"{word!r}: {name} needs a file, such as {name}=names.txt")
        return name, value
    if not re.fullmatch("[0-9]{1,10}", value) or not 1 <= int(value) <= LARGEST:
        raise ValueError(f"{word!r}: {name} must be a whole number from 1 to {LARGEST}, not {value!r}")
    return name, int(value)


def selected(source, options, data_dir):
    """The `Selected` of a source and what is done with its pictures, one after the other."""
    from deeplab_ksac.datasets.access import evenly_spread
    from deeplab_ksac.datasets.raw import read_lines
    from deeplab_ksac.datasets.selection import Selected, find_pictures
    from deeplab_ksac.datasets.stored import StoredSplit

    numbers, labels = list(range(StoredSplit.find(Split.parse(source), data_dir).num_examples)), True
    for name, value in options:
        if name in BY_NUMBER and value > len(numbers):
            raise ValueError(f"{source}: {name}={value} of {len(numbers)} pictures")
        if name == "first":
            numbers = numbers[:value]
        elif name == "skip":
            numbers = numbers[value:]
        elif name == "spread":
            numbers = [numbers[place] for place in evenly_spread(value, len(numbers))]
        elif name == UNLABELED:
            labels = False
        else:
            listed = set(find_pictures(source, data_dir, read_lines(value)))
            numbers = [number for number in numbers if (number in listed) == (name == "list")]
    return Selected(source, numbers, labels)


if __name__ == "__main__":
    start(
        "select_pictures",
        define_flags,
        run,
        arguments={"split=source…": f"what a split is made of, such as {WORDS}; one or more"},
    )
