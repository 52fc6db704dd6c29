"""Objects of a label map, where they lie, and how well each is found.

An object is a connected part (8 neighbors) of the pixels of one class, of a certain size at least; touching objects of
one class are one. docs/claims.md says what is measured by them.
"""

import dataclasses

import numpy as np
from scipy import ndimage

LEAST_PIXELS = 256
RING = 9  # pixels; an ignored border of five, as VOC's, does not fill it
SURROUNDED = 0.5  # share of the ring that is of the surrounding class
LARGER = 4  # times as many pixels that the surrounding class has in the picture
MARGIN = 0.5  # of an object's sides, around the box in which it is looked for
NEIGHBORS = np.ones([3, 3], bool)


@dataclasses.dataclass(frozen=True)
class PictureObject:
    """An object of a picture.

    Attributes:
        label: its class.
        box: rows and columns that hold it.
        mask: which pixels of the box are its own, bool [h, w].
    """

    label: int
    box: tuple[slice, slice]
    mask: np.ndarray

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return int(self.mask.sum())

    @property
    def size(self) -> float:
        """The square root of its pixels."""
        return self.pixels**0.5

    def inside(self, window: tuple[slice, slice]) -> np.ndarray:
        """Its pixels in a window that holds its box: bool, of the window's shape."""
        around = [(own.start - all_.start, all_.stop - own.stop) for own, all_ in zip(self.box, window, strict=True)]
        return np.pad(self.mask, around)


def find_objects(
    labels: np.ndarray, num_classes: int, *, background: int = 0, least: int = LEAST_PIXELS
) -> list[PictureObject]:
    """The objects of a label map [H, W], class by class, of all classes but the background.

    Args:
        labels: of 0 … K−1; all else is ignored.
        num_classes: K.
        background: the class that has no objects.
        least: pixels of an object.
    """
    found = []
    for label in range(num_classes):
        if label == background:
            continue
        parts, _ = ndimage.label(labels == label, structure=NEIGHBORS)
        for number, box in enumerate(ndimage.find_objects(parts), start=1):
            one = PictureObject(label, box, parts[box] == number)
            if one.pixels >= least:
                found.append(one)
    return found


def lies_inside_another(labels: np.ndarray, one: PictureObject, num_classes: int, *, background: int = 0) -> bool:
    """Whether an object lies inside a large one of another class (Sect. 3.2.1's conflicts).

    Half of the labeled pixels of the ring around it are of one class other than its own and the background, and that
    class has four times as many pixels in the picture as the object.

    Args:
        labels: [H, W], of 0 … K−1; all else is ignored.
        one: of `find_objects`.
        num_classes: K.
        background: a class that does not surround.
    """
    window = _enlarged(one.box, (RING, RING), labels.shape)
    own = one.inside(window)
    ring = ndimage.binary_dilation(own, NEIGHBORS, iterations=RING) & ~own
    counts = np.bincount(labels[window][ring], minlength=num_classes)[:num_classes]
    labeled = counts.sum()
    counts[[one.label, background]] = 0
    around = int(counts.argmax())
    if not counts[around] or counts[around] < SURROUNDED * labeled:
        return False
    return np.count_nonzero(labels == around) >= LARGER * one.pixels


def object_iou(labels: np.ndarray, classes: np.ndarray, one: PictureObject, num_classes: int) -> float:
    """Intersection over union of an object and what is predicted as its class near it.

    Looked for is it in its box, enlarged by half of its sides on each side. Ignored pixels, and those of other parts of
    its class, are left out.

    Args:
        labels: [H, W], of 0 … K−1; all else is ignored.
        classes: [H, W], predicted.
        one: of `find_objects`.
        num_classes: K.
    """
    margins = tuple(int(MARGIN * (side.stop - side.start)) for side in one.box)
    window = _enlarged(one.box, margins, labels.shape)
    own, there = one.inside(window), labels[window]
    counted = own | ((there < num_classes) & (there != one.label))
    predicted = (classes[window] == one.label) & counted
    return float(np.count_nonzero(own & predicted) / np.count_nonzero(own | predicted))


def _enlarged(box, margins, shape):
    """A box with so many pixels more on each side, as far as the picture has them."""
    sides = zip(box, margins, shape, strict=True)
    return tuple(slice(max(side.start - more, 0), min(side.stop + more, whole)) for side, more, whole in sides)
