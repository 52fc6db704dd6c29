"""A converted data set looked through before anything is trained on it: counts, warnings and notes."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deeplab_ksac.datasets.findings import find_notes, find_warnings
from deeplab_ksac.datasets.info import ConvertedInfo, load_info
from deeplab_ksac.datasets.survey import SplitSurvey, survey_split


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found in a converted data set.

    Attributes:
        info: the data set.
        surveys: what was counted, a split each.
        warnings: what is probably wrong, in sentences; empty where nothing is.
        notes: what is worth knowing and may be as it should.
    """

    info: ConvertedInfo
    surveys: tuple[SplitSurvey, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def text(self) -> str:
        """The splits, the classes, the notes and the warnings, as lines for a reader."""
        lines = [*self._splits(), "", *self._classes(), ""]
        lines += [f"note: {sentence}" for sentence in self.notes]
        lines += [f"WARNING: {sentence}" for sentence in self.warnings]
        return "\n".join([*lines, f"{len(self.warnings)} warnings" if self.warnings else "nothing suspicious"])

    def as_json(self) -> dict[str, Any]:
        """All that was counted and found, in types that JSON has."""
        return {
            "dataset": self.info.name,
            "splits": [self._described(survey) for survey in self.surveys],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def _splits(self) -> Iterator[str]:
        """The splits, one a line: images beside the official number, sizes, formats, ignored pixels."""
        yield f"{'split':<12} {'images':>8} {'official':>9} {'height':>16} {'width':>16} {'ignored':>8}  formats"
        for survey in self.surveys:
            official = "" if survey.official is None else survey.official
            height, width = ("{} {} {}".format(*side) for side in survey.size_range())
            formats = ", ".join(f"{count} {form}" for form, count in survey.formats.most_common())
            yield (
                f"{survey.split:<12} {len(survey.names):>8} {official:>9} {height:>16} {width:>16} "
                f"{survey.ignored_share:>8.2%}  {formats}"
            )
        yield "(height and width: smallest, median, largest)"

    def _classes(self) -> Iterator[str]:
        """The classes, one a line: share of the labeled pixels and number of images by split."""
        width = max(map(len, self.info.class_names))
        yield f"{'label':>5} {'class':<{width}}" + "".join(f" {survey.split[:18]:>18}" for survey in self.surveys)
        for label, name in enumerate(self.info.class_names):
            cells = (f" {survey.frequencies[label]:>8.3%} {survey.images[label]:>9}" for survey in self.surveys)
            yield f"{label:>5} {name:<{width}}" + "".join(cells)
        yield "(share of the labeled pixels, images with the class)"

    def _described(self, survey):
        values = survey.pixels.nonzero()[0].tolist()
        return {
            "split": survey.split,
            "images": len(survey.names),
            "official": survey.official,
            "pixels": {str(value): int(survey.pixels[value]) for value in values},
            "images_with": {str(value): int(survey.images[value]) for value in values},
            "frequencies": dict(
                zip(self.info.class_names, survey.frequencies[: self.info.num_classes].tolist(), strict=True)
            ),
            "ignored_share": float(survey.ignored_share),
            "unlabeled_images": survey.unlabeled,
            "single_valued_masks": {str(value): count for value, count in survey.single_valued.items()},
            "sizes": {f"{width}x{height}": count for (height, width), count in sorted(survey.sizes.items())},
            "formats": dict(survey.formats),
        }


def inspect_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike,
    splits: Sequence[str] | None = None,
    samples: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Inspection:
    """Reads all records of a converted data set once and says what is in them, and what looks wrong.

    Args:
        name: the converted data set.
        data_dir: where converted data sets live.
        splits: which; None takes all of them.
        samples: examples of each split to keep for `deeplab_ksac.figures.contact_sheet`.
        progress: called as `progress(split, done, total)`.

    Raises:
        DatasetError: no such data set or split, or records that cannot be read.
    """
    info = load_info(name, data_dir)
    surveys = tuple(
        survey_split(
            name, split, data_dir=data_dir, official=info.splits.get(split), samples=samples, progress=progress
        )
        for split in splits or info.num_examples
    )
    return Inspection(info, surveys, tuple(find_warnings(info, surveys)), tuple(find_notes(info, surveys)))
