"""Looks through a data set before training: numbers, contact sheet, warnings.

    python scripts/inspect_data.py voc2012 --data_dir=data
    python scripts/inspect_data.py mine --data_dir=data --splits=train,val --samples=24 --output=mine.png
    python scripts/inspect_data.py folder --raw_dir=my_pictures --mask_suffix=_mask --output=raw.png

Prints what each split holds and what is probably wrong with it, and writes the contact sheet (PNG) and everything that
was counted (JSON beside it). With --raw_dir it looks through a raw folder before conversion: what pairs, which values
the masks have, and all that conversion would refuse.
"""

import contextlib

from absl import flags

from deeplab_ksac.datasets import default_name, is_file
from deeplab_ksac.datasets.info import dataset_dir, load_info
from deeplab_ksac.errors import printable
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import large_pictures, reading_flags, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import SplitProgress
from deeplab_ksac.storage import place
from deeplab_ksac.whole_files import check_writable


def define_flags():
    """Defines the flags of this script."""
    flags.DEFINE_string("data_dir", "data", "Folder of the converted data sets.")
    flags.DEFINE_string("raw_dir", None, "Raw folder to look through before conversion, with <dataset> as in convert.")
    flags.DEFINE_list("splits", None, "Splits to check (default: all).")
    values.whole_number("samples", 12, "Pictures of each split on the contact sheet.")
    flags.DEFINE_string(
        "output",
        None,
        "PNG file of the contact sheet; <data_dir>/<dataset>/inspection.png by default (raw_… with --raw_dir).",
    )
    flags.DEFINE_enum(
        "rotation",
        "refuse",
        ["refuse", "stored", "upright"],
        "What to do with images with EXIF rotation if the size of the mask does not tell which form it belongs to "
        "(--raw_dir).",
    )
    large_pictures.define_flag()
    reading_flags.define()


def inspect(name, given):
    """Inspects the data set, prints what was found, writes the sheet and the JSON; the exit status."""
    if given.raw_dir is not None:
        return inspect_raw_folder(name, given)
    changed = {"rotation": given.rotation != "refuse", "max_megapixels": given.max_megapixels != large_pictures.USUAL}
    for flag in [*(flag for flag in changed if changed[flag]), *reading_flags.given(given)]:
        raise ValueError(f"--{flag} says how a raw folder is read; name one (--raw_dir)")
    load_info(name, given.data_dir)  # a misspelt name need not wait for TensorFlow

    from deeplab_ksac.datasets.inspection import inspect_dataset

    output = checked_output(name, given, "inspection.png", dataset_dir(name, given.data_dir).iterdir())
    with contextlib.closing(SplitProgress("reading")) as progress:
        inspection = inspect_dataset(
            name, data_dir=given.data_dir, splits=given.splits, samples=given.samples, progress=progress
        )
    return tell(inspection, output)


def inspect_raw_folder(name, given):
    """Inspects a raw folder as data set `name` reads it; the exit status."""
    reading, held_out = reading_flags.reading(given), reading_flags.held_out(given)
    large_pictures.allow(given)

    from deeplab_ksac.datasets.raw_inspection import inspect_raw

    place = default_name(name) if is_file(name) else name
    output = checked_output(place, given, "raw_inspection.png", [given.raw_dir])
    with contextlib.closing(SplitProgress("reading")) as progress:
        inspection = inspect_raw(
            name,
            given.raw_dir,
            reading=reading,
            held_out=held_out,
            rotation=given.rotation,
            splits=given.splits,
            samples=given.samples,
            progress=progress,
        )
    return tell(inspection, output)


def checked_output(name, given, file, inputs):
    """The path of the sheet: a PNG that can be written and takes no input's place."""
    from deeplab_ksac.figures import contact_sheet

    output = contact_sheet.require_png(given.output or place(given.data_dir) / name / file)
    check_inputs_stay(inputs, [output, output.with_suffix(".json")])
    check_writable(output.parent)
    return output


def tell(inspection, output):
    """Prints an inspection and writes its sheet, if there is anything to show; the exit status."""
    from deeplab_ksac.figures import contact_sheet

    print("\n".join(map(printable, inspection.text().splitlines())))
    if inspection.surveys:
        contact_sheet.save(inspection, output)
        print(f"contact sheet {output}")
    return 0


if __name__ == "__main__":
    start("inspect", define_flags, inspect, arguments={"dataset": "the name of one converted data set"})
