"""Looks through a converted data set before training: numbers, contact sheet, warnings.

    python scripts/inspect_data.py voc2012 --data_dir=data
    python scripts/inspect_data.py mine --data_dir=data --splits=train,val --samples=24 --output=mine.png

Prints what each split holds and what is probably wrong with it, and writes the contact sheet (PNG) and everything that
was counted (JSON beside it).
"""

import contextlib
import pathlib

from absl import flags

from deeplab_ksac.datasets.info import dataset_dir, load_info
from deeplab_ksac.errors import printable
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import SplitProgress
from deeplab_ksac.whole_files import check_writable


def define_flags():
    """Defines the flags of this script."""
    flags.DEFINE_string("data_dir", "data", "Folder of the converted data sets.")
    flags.DEFINE_list("splits", None, "Splits to check (default: all).")
    values.whole_number("samples", 12, "Pictures of each split on the contact sheet.")
    flags.DEFINE_string(
        "output", None, "PNG file of the contact sheet; <data_dir>/<dataset>/inspection.png by default."
    )


def inspect(name, given):
    """Inspects the data set, prints what was found, writes the sheet and the JSON; the exit status."""
    load_info(name, given.data_dir)  # a misspelt name need not wait for TensorFlow

    from deeplab_ksac.datasets.inspection import inspect_dataset
    from deeplab_ksac.figures import contact_sheet

    output = contact_sheet.require_png(given.output or pathlib.Path(given.data_dir, name, "inspection.png"))
    check_inputs_stay(dataset_dir(name, given.data_dir).iterdir(), [output, pathlib.Path(output).with_suffix(".json")])
    check_writable(pathlib.Path(output).parent)
    with contextlib.closing(SplitProgress("reading")) as progress:
        inspection = inspect_dataset(
            name, data_dir=given.data_dir, splits=given.splits, samples=given.samples, progress=progress
        )
    print("\n".join(map(printable, inspection.text().splitlines())))
    contact_sheet.save(inspection, output)
    print(f"contact sheet {output}")
    return 0


if __name__ == "__main__":
    start("inspect", define_flags, inspect, arguments={"dataset": "the name of one converted data set"})
