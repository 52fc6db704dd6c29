"""What is known of a data set: its classes, colors and splits, before and after conversion."""

import dataclasses
import difflib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any

from deeplab_ksac.bands import DEPTHS, MOST_BANDS, RGB, Bands, MeasuredBands
from deeplab_ksac.json_files import (
    DamagedFileError,
    check_fields,
    is_list_of,
    is_number,
    is_text,
    is_whole,
    read_object,
    shortened,
)
from deeplab_ksac.storage import Place, absolute, exists, is_remote, place
from deeplab_ksac.whole_files import write_whole

IGNORE_LABEL = 255
VERSION = "1.0.0"
INFO_FILE = "segmentation.json"


class DatasetError(ValueError):
    """Raw or converted data that cannot be used; the message is one line with the file, the value and the count."""

    @classmethod
    def unknown(cls, what: str, name: str, known: Collection[str]) -> "DatasetError":
        """The error for a name that is none of those known; it lists them and points to the nearest one."""
        return cls(f"{what} is none of {', '.join(known)}{did_you_mean(name, known)}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of an error for a name that is none of those known: the nearest one, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The classes of a data set and the official sizes of its splits.

    Attributes:
        name: identifier, also of the folder that holds the converted data.
        class_names: names of the labels 0…K−1, in order.
        colors: (red, green, blue) of each class, 0…255.
        splits: official number of images by split; empty where any split of any size is right.
        description: one line on what the pictures show.
        source: where the raw data come from.
        bands: of the pictures; of a converted data set other than RGB, `MeasuredBands`.
    """

    name: str
    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    splits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    description: str = ""
    source: str = ""
    bands: Bands = RGB

    def __post_init__(self):
        if len(self.class_names) != len(self.colors):
            raise DatasetError(f"{self.name}: {len(self.class_names)} class names, {len(self.colors)} colors")
        if len(set(self.class_names)) != len(self.class_names):
            twice = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
            raise DatasetError(f"{self.name}: class names appear more than once: {', '.join(twice)}")

    @property
    def num_classes(self) -> int:
        """K, the number of labels that are not ignored."""
        return len(self.class_names)


@dataclasses.dataclass(frozen=True)
class ConvertedInfo(DatasetInfo):
    """A data set as it was converted, with what was counted on the way.

    Attributes:
        num_examples: images by split.
        pixel_counts: by split, the number of pixels of each class 0…K−1.
        ignored_pixels: by split, the number of pixels labeled 255.
        num_shards: TFRecord files by split.
        num_bytes: size of the records by split.
    """

    num_examples: Mapping[str, int] = dataclasses.field(default_factory=dict)
    pixel_counts: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    ignored_pixels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    num_shards: Mapping[str, int] = dataclasses.field(default_factory=dict)
    num_bytes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def pixel_frequencies(self) -> dict[str, tuple[float, ...]]:
        """By split, the share of each class among the labeled pixels (sums to 1)."""
        return {
            split: tuple(count / max(sum(counts), 1) for count in counts) for split, counts in self.pixel_counts.items()
        }

    def ignored_share(self, split: str) -> float:
        """Share of the pixels of `split` that are labeled 255."""
        ignored = self.ignored_pixels[split]
        return ignored / max(ignored + sum(self.pixel_counts[split]), 1)

    def table(self) -> str:
        """The splits, one a line: images, official number, classes, share of ignored pixels; then those not there."""
        lines = [f"{'split':<12} {'images':>8} {'official':>8} {'classes':>8} {'ignored':>8}"]
        for split, count in self.num_examples.items():
            official, ignored = self.splits.get(split, ""), self.ignored_share(split)
            lines.append(f"{split:<12} {count:>8} {official:>8} {self.num_classes:>8} {ignored:>8.2%}")
        absent = [split for split in self.splits if split not in self.num_examples]
        return "\n".join([*lines, *(f"{split:<12} {'none':>8} {self.splits[split]:>8}" for split in absent)])


def dataset_dir(name: str, data_dir: str | os.PathLike) -> Place:
    """The folder that holds the shards and the metadata of the converted data set `name`."""
    return place(data_dir) / name / VERSION


def is_converted(name: str, data_dir: str | os.PathLike) -> bool:
    """Whether a finished data set of this name is in `data_dir`."""
    return (dataset_dir(name, data_dir) / INFO_FILE).is_file()


def save_info(info: DatasetInfo, folder: str | os.PathLike) -> None:
    """Writes a `DatasetInfo`, converted or not, as JSON into `folder`."""
    fields = dataclasses.asdict(info)
    if info.bands.is_rgb:  # which is not written down
        del fields["bands"]
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    write_whole(place(folder) / INFO_FILE, text + "\n")


def load_info(name: str, data_dir: str | os.PathLike) -> ConvertedInfo:
    """Reads the `ConvertedInfo` that conversion wrote next to the shards of data set `name`.

    Raises:
        DatasetError: there is no finished data set of this name in `data_dir`; the message lists those there are, or
            names the folder above or below that has it.
    """
    if is_converted(name, data_dir):
        return read_info(dataset_dir(name, data_dir))
    missing = f"no converted data set {name!r} in {data_dir}"
    for folder in _folders_nearby(data_dir):
        if exists(dataset_dir(name, folder) / INFO_FILE):  # False for what may not be read
            raise DatasetError(f"{missing}; it is in {folder}")
    found = sorted(p.parent.parent.name for p in place(data_dir).glob(f"*/{VERSION}/{INFO_FILE}"))
    raise DatasetError(
        f"{missing} (found: {', '.join(found) or 'none'}); `ksac convert` makes one{did_you_mean(name, found)}"
    )


def _folders_nearby(data_dir):
    """The folders with data sets that are meant where the folder of a set is given, or that of several such folders."""
    if is_remote(data_dir):  # whose listing may be long
        return
    yield absolute(data_dir).parent
    if place(data_dir).is_dir():
        yield from sorted(folder for folder in place(data_dir).iterdir() if folder.is_dir())


def read_info(folder: str | os.PathLike) -> ConvertedInfo:
    """Reads the `ConvertedInfo` that `save_info` wrote into `folder`.

    Raises:
        FileNotFoundError: there is none.
        DatasetError: the file is damaged; the message names it and the field.
    """
    path = place(folder) / INFO_FILE
    try:
        fields = read_object(path)
        check_fields(path, fields, OF_CLASSES, {**OF_PICTURES, **OF_SPLITS})
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(ConvertedInfo)})
        if unknown:
            raise DatasetError(f"{path}: {shortened(unknown[0])} is no field of a data set")
        fields["bands"] = bands_of(path, fields)
        fields["class_names"] = tuple(fields["class_names"])
        fields["colors"] = tuple(map(tuple, fields["colors"]))
        counted = fields.get("pixel_counts", {})
        fields["pixel_counts"] = {split: tuple(counts) for split, counts in counted.items()}
    except DamagedFileError as error:
        raise DatasetError(str(error)) from error
    try:
        info = ConvertedInfo(**fields)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    _check_counts(path, info)
    return info


def bands_fields(bands: Bands) -> dict[str, dict[str, Any]]:
    """{"bands": {"number", "depth", "mean", "deviation"}}, as JSON has it; {} for RGB, which is not written down."""
    return {} if bands.is_rgb else {"bands": dataclasses.asdict(bands)}


def bands_of(path: str | os.PathLike, fields: Mapping[str, Any]) -> Bands:
    """The bands that the object of a file tells in what `bands_fields` made of them.

    Raises:
        DamagedFileError: they are damaged; the message names the path and the field.
    """
    if "bands" not in fields:
        return RGB
    check_fields(path, fields, {"bands": ("an object", lambda value: isinstance(value, dict))}, {})
    found, subject = fields["bands"], f"'bands' of {path}"
    check_fields(subject, found, OF_BANDS, {})
    mean, deviation = (tuple(map(float, found[name])) for name in ("mean", "deviation"))
    try:
        return MeasuredBands(found["number"], found["depth"], mean, deviation)
    except ValueError as error:
        raise DamagedFileError(f"{subject}: {error}") from error


def require_bands(what: str, bands: Bands, expected: Bands, of: str) -> None:
    """Raises DatasetError if `what` has other bands than are expected by a model or data set, `of`."""
    if not bands.fits(expected):
        raise DatasetError(f"{what} has pictures of {bands.describe()}, and {of} of {expected.describe()}")


def _check_counts(path, info):
    """Makes sure that what was counted is of the same splits and classes."""
    for name in OF_SPLITS:
        counts = getattr(info, name)
        if set(counts) != set(info.num_examples):
            there, wanted = (", ".join(sorted(splits)) or "none" for splits in (counts, info.num_examples))
            raise DatasetError(f"{path}: {name!r} is of other splits than 'num_examples': {there}; {wanted}")
    for split, counts in info.pixel_counts.items():
        if len(counts) != info.num_classes:
            raise DatasetError(f"{path}: 'pixel_counts' of {split!r} has {len(counts)} classes, not {info.num_classes}")


def _is_color(value):
    return is_list_of(value, lambda part: is_whole(part) and part <= 255) and len(value) == 3


def _by_split(fits):
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


COLOR = ("[red, green, blue], 0 … 255", _is_color)
OF_CLASSES = {
    "name": ("text", is_text),
    "class_names": ("a list of one or more names", lambda value: is_list_of(value, is_text) and len(value) > 0),
    "colors": ("a list of [red, green, blue], 0 … 255", lambda value: is_list_of(value, _is_color)),
}
OF_PICTURES = {
    "splits": ("numbers of images by split", _by_split(is_whole)),
    "description": ("text", is_text),
    "source": ("text", is_text),
}
OF_BANDS = {
    "number": (f"a whole number of 1 … {MOST_BANDS}", lambda value: is_whole(value, 1) and value <= MOST_BANDS),
    "depth": ("8 or 16", lambda value: is_whole(value) and value in DEPTHS),
    "mean": ("a list of numbers", lambda value: is_list_of(value, is_number)),
    "deviation": ("a list of numbers above 0", lambda value: is_list_of(value, lambda x: is_number(x) and x > 0)),
}
OF_SPLITS = {
    "num_examples": ("numbers of images by split", _by_split(is_whole)),
    "pixel_counts": ("pixels of each class by split", _by_split(lambda counts: is_list_of(counts, is_whole))),
    "ignored_pixels": ("numbers of pixels by split", _by_split(is_whole)),
    "num_shards": ("numbers of files by split", _by_split(lambda count: is_whole(count, 1))),
    "num_bytes": ("numbers of bytes by split", _by_split(is_whole)),
}
