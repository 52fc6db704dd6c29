"""Looks through a converted data set before training: numbers, contact sheet, warnings.

    python scripts/inspect_data.py voc2012 --data_dir=data
    python scripts/inspect_data.py mine --data_dir=data --splits=train,val --samples=24 --output=mine.png

Prints what each split holds and what is probably wrong with it, and writes the contact sheet (PNG) and everything that
was counted (JSON beside it).
"""

import json
import pathlib

from absl import flags

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.figures import contact_sheet
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import SplitProgress
from deeplab_ksac.whole_files import write_whole


def define_flags():
    """Defines the flags of this script."""
    flags.DEFINE_string("data_dir", "data", "Folder of the converted data sets.")
    flags.DEFINE_list("splits", None, "Splits to look at; all of them where not given.")
    flags.DEFINE_integer("samples", 12, "Pictures of each split on the contact sheet.", lower_bound=0)
    flags.DEFINE_string(
        "output", None, "PNG file of the contact sheet; <data_dir>/<dataset>/inspection.png where not given."
    )


def inspect(name, given):
    """Surveys the data set, prints what was found, writes the sheet and the JSON; the exit status."""
    info = load_info(name, given.data_dir)
    output = pathlib.Path(given.output or pathlib.Path(given.data_dir, name, "inspection.png"))
    if output.suffix.lower() != ".png":
        raise ValueError(f"--output must name a .png file, not {output}")

    from deeplab_ksac.datasets.findings import (  # TensorFlow takes seconds; a typo need not wait for it
        find_notes,
        find_warnings,
    )
    from deeplab_ksac.datasets.survey import survey_split

    surveys, progress = [], SplitProgress("reading")
    try:
        for split in given.splits or info.num_examples:
            official = info.splits.get(split)
            surveys.append(
                survey_split(
                    name, split, data_dir=given.data_dir, official=official, samples=given.samples, progress=progress
                )
            )
    finally:
        progress.close()
    warnings, notes = find_warnings(info, surveys), find_notes(info, surveys)
    print("\n".join([*table(surveys), "", *class_table(info, surveys), ""]))
    for kind, sentences in (("note", notes), ("WARNING", warnings)):
        for sentence in sentences:
            print(f"{kind}: {sentence}")
    print("nothing suspicious" if not warnings else f"{len(warnings)} warnings")
    write_whole(output, contact_sheet.draw(info, surveys))
    content = {"dataset": name, "splits": [described(s, info) for s in surveys], "warnings": warnings, "notes": notes}
    write_whole(output.with_suffix(".json"), (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    print(f"contact sheet {output}")
    return 0


def table(surveys):
    """The splits, one a line: images beside the official number, sizes, formats, ignored pixels."""
    yield f"{'split':<12} {'images':>8} {'official':>9} {'height':>16} {'width':>16} {'ignored':>8}  formats"
    for survey in surveys:
        official = "" if survey.official is None else survey.official
        height, width = ("{} {} {}".format(*side) for side in survey.size_range())
        formats = ", ".join(f"{count} {form}" for form, count in survey.formats.most_common())
        yield (
            f"{survey.split:<12} {len(survey.names):>8} {official:>9} {height:>16} {width:>16} "
            f"{survey.ignored_share:>8.2%}  {formats}"
        )
    yield "(height and width: smallest, median, largest)"


def class_table(info, surveys):
    """The classes, one a line: share of the labeled pixels and number of images by split."""
    width = max(map(len, info.class_names))
    yield f"{'label':>5} {'class':<{width}}" + "".join(f" {s.split[:18]:>18}" for s in surveys)
    for label, name in enumerate(info.class_names):
        cells = (f" {s.frequencies[label]:>8.3%} {s.images[label]:>9}" for s in surveys)
        yield f"{label:>5} {name:<{width}}" + "".join(cells)
    yield "(share of the labeled pixels, images with the class)"


def described(survey, info):
    """What was counted in a split, as JSON takes it."""
    values = survey.pixels.nonzero()[0].tolist()
    return {
        "split": survey.split,
        "images": len(survey.names),
        "official": survey.official,
        "pixels": {str(value): int(survey.pixels[value]) for value in values},
        "images_with": {str(value): int(survey.images[value]) for value in values},
        "frequencies": dict(zip(info.class_names, survey.frequencies.tolist())),
        "ignored_share": float(survey.ignored_share),
        "unlabeled_images": survey.unlabeled,
        "single_valued_masks": {str(value): count for value, count in survey.single_valued.items()},
        "sizes": {f"{width}x{height}": count for (height, width), count in sorted(survey.sizes.items())},
        "formats": dict(survey.formats),
    }


if __name__ == "__main__":
    start("inspect", define_flags, inspect, arguments={"dataset": "the name of one converted data set"})
