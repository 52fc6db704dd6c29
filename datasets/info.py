"""What is known of a data set: its classes, colors and splits, before and after conversion."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

IGNORE_LABEL = 255
VERSION = "1.0.0"
INFO_FILE = "segmentation.json"


class DatasetError(ValueError):
    """Raw or converted data that cannot be used; the message is one line with the file, the value and the count."""


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
    """

    name: str
    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    splits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    description: str = ""
    source: str = ""

    def __post_init__(self):
        if len(self.class_names) != len(self.colors):
            raise ValueError(f"{self.name}: {len(self.class_names)} class names, {len(self.colors)} colors")
        if len(set(self.class_names)) != len(self.class_names):
            twice = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
            raise DatasetError(f"{self.name}: class names stand more than once: {', '.join(twice)}")

    @property
    def num_classes(self):
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
    def pixel_frequencies(self):
        """By split, the share of each class among the labeled pixels (sums to 1)."""
        return {
            split: tuple(count / max(sum(counts), 1) for count in counts) for split, counts in self.pixel_counts.items()
        }

    def ignored_share(self, split):
        """Share of the pixels of `split` that are labeled 255."""
        ignored = self.ignored_pixels[split]
        return ignored / max(ignored + sum(self.pixel_counts[split]), 1)


def dataset_dir(name, data_dir):
    """The folder that holds the shards and the metadata of the converted data set `name`."""
    return pathlib.Path(data_dir) / name / VERSION


def save_info(info, folder):
    """Writes a `DatasetInfo`, converted or not, as JSON into `folder`."""
    text = json.dumps(dataclasses.asdict(info), indent=1, ensure_ascii=False)
    (pathlib.Path(folder) / INFO_FILE).write_text(text + "\n", encoding="utf-8")


def load_info(name, data_dir):
    """Reads the `ConvertedInfo` that conversion wrote beside the shards of data set `name`.

    Raises:
        DatasetError: there is no finished data set of this name in `data_dir`; the message lists those there are.
    """
    path = dataset_dir(name, data_dir) / INFO_FILE
    if not path.is_file():
        found = sorted(p.parent.parent.name for p in pathlib.Path(data_dir).glob(f"*/{VERSION}/{INFO_FILE}"))
        raise DatasetError(
            f"no converted data set {name!r} in {data_dir} (found: {', '.join(found) or 'none'}); "
            f"scripts/convert.py makes it"
        )
    return read_info(path.parent)


def read_info(folder):
    """Reads the `ConvertedInfo` that `save_info` wrote into `folder`."""
    fields = json.loads((pathlib.Path(folder) / INFO_FILE).read_text(encoding="utf-8"))
    fields["class_names"] = tuple(fields["class_names"])
    fields["colors"] = tuple(map(tuple, fields["colors"]))
    counted = fields.get("pixel_counts", {})
    fields["pixel_counts"] = {split: tuple(counts) for split, counts in counted.items()}
    return ConvertedInfo(**fields)
