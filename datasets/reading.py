"""How a raw folder is read, where there is more than one way to do so."""

import dataclasses
import os
from collections.abc import Iterable, Mapping

from deeplab_ksac.bands import MOST_BANDS, RGB
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.json_files import is_whole

OF_CLASSES = "classes"  # the colors of the data set's own class list
BACKGROUND, IGNORED = "background", "ignored"
OF_ALL = "channels"  # what every source heeds


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a raw folder means beyond what is written in it; each source says which of these it heeds (`READS`).

    Attributes:
        label_map: {value in the masks: label 0…K−1, or 255 for ignored}; other values are an error. None: the values
            are the labels.
        colors: masks are RGB, and a pixel's class is the one of exactly its color: "classes" takes the colors of the
            class list, a path those of a legend (`datasets.legends`). None: masks have one channel.
        image_prefix: what the pictures' names have in front of what they share with their masks.
        image_suffix: what they have behind it, before the extension.
        mask_prefix: the same of the masks.
        mask_suffix: "_mask" pairs street/001.jpg with street/001_mask.png.
        unlabeled: what a pixel is that no outline covers: "background", a class of its own in front of the others,
            or "ignored".
        image_key: the feature or column that holds the pictures, where a file of records has several.
        label_key: the one that holds the label maps.
        channels: 3 for RGB of 8 bits, as which any picture is read; any other number for pictures that have so many
            bands, all of 8 or all of 16 bits, which are taken as they are (`datasets.band_pictures`). Every source
            heeds it.

    Raises:
        DatasetError: both `label_map` and `colors`, an empty map, another `unlabeled`, or a number of channels that no
            picture has.
    """

    label_map: Mapping[int, int] | None = None
    colors: str | os.PathLike | None = None
    image_prefix: str = ""
    image_suffix: str = ""
    mask_prefix: str = ""
    mask_suffix: str = ""
    unlabeled: str = BACKGROUND
    image_key: str = ""
    label_key: str = ""
    channels: int = RGB.number

    def __post_init__(self):
        if self.label_map is not None and self.colors is not None:
            raise DatasetError("label_map is for values and colors for RGB masks; give one of --label_map and --colors")
        if self.label_map is not None and not self.label_map:
            raise DatasetError("label_map is empty; give pairs of value and label (--label_map=255:1,0:0)")
        if self.unlabeled not in (BACKGROUND, IGNORED):
            raise DatasetError(f"unlabeled must be {BACKGROUND} or {IGNORED}, not {self.unlabeled!r} (--unlabeled)")
        if not is_whole(self.channels, 1) or self.channels > MOST_BANDS:
            raise DatasetError(f"channels must be a number of 1 … {MOST_BANDS}, not {self.channels!r} (--channels)")

    def given(self) -> tuple[str, ...]:
        """The names of what differs from the default."""
        fields = dataclasses.fields(self)
        return tuple(field.name for field in fields if getattr(self, field.name) != field.default)

    def require_only(self, heeded: Iterable[str], name: str) -> None:
        """Raises DatasetError if something is given that the data set `name` does not heed."""
        heeded = tuple(heeded)
        for field in self.given():
            if field not in (*heeded, OF_ALL):
                takes = ", ".join(heeded) or "no option of this kind"
                raise DatasetError(f"{field} (--{field}) is not for the data set {name}, which takes {takes}")

    def require_labels(self, num_classes: int, classes: str | os.PathLike) -> None:
        """Raises DatasetError if `label_map` gives a label that is not among the K classes that `classes` lists."""
        for value, label in (self.label_map or {}).items():
            if label != IGNORE_LABEL and not 0 <= label < num_classes:
                raise DatasetError(
                    f"label_map makes {label} of {value}, and {classes} has the labels 0…{num_classes - 1} "
                    f"(--label_map={value}:{label}; 255 is ignored)"
                )


AS_IT_IS = Reading()
