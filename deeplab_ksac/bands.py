"""The bands of a data set's pictures: RGB of 8 bits, or any other number of 8 or 16 bits."""

import dataclasses

from deeplab_ksac.arguments import check_whole_numbers

DEPTHS = (8, 16)
MOST_BANDS = 512  # of a picture: the widest sensors of satellites have some 400


@dataclasses.dataclass(frozen=True)
class Bands:
    """How many bands a picture has, and of how many bits.

    What networks see of them is float32 of 0…255: values of 8 bits as they are, values of 16 bits divided by 257.

    Attributes:
        number: of bands.
        depth: bits of a value, 8 or 16.

    Raises:
        ValueError: another depth, or a number out of 1 … `MOST_BANDS`.
    """

    number: int
    depth: int

    def __post_init__(self) -> None:
        check_whole_numbers(1, MOST_BANDS, number=self.number)
        if isinstance(self.depth, bool) or self.depth not in DEPTHS:
            raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, not {self.depth!r}")

    @property
    def is_rgb(self) -> bool:
        """Whether the pictures are RGB of 8 bits, which any picture can be shown as."""
        return (self.number, self.depth) == (3, 8)

    @property
    def unit(self) -> int:
        """What a stored value is divided by, to be of 0…255."""
        return (2**self.depth - 1) // 255

    def fits(self, other: "Bands") -> bool:
        """Whether the others are as many, of as many bits."""
        return (self.number, self.depth) == (other.number, other.depth)

    def describe(self) -> str:
        """The bands in words: "4 bands of 16 bits"."""
        return f"{self.number} band{'s' if self.number > 1 else ''} of {self.depth} bits"


@dataclasses.dataclass(frozen=True)
class MeasuredBands(Bands):
    """Bands with what they are normalized by, and filled up with in training: the mean.

    Attributes:
        mean, deviation: of each band over the pictures that are trained on, of 0…255; deviations are above 0.

    Raises:
        ValueError: as `Bands`, or not a mean and a positive deviation for each band.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.mean) == len(self.deviation) == self.number:
            raise ValueError(
                f"{self.number} bands want as many means and deviations, not {len(self.mean)} and {len(self.deviation)}"
            )
        if not min(self.deviation) > 0:
            raise ValueError(f"the deviation of a band must be above 0, not {min(self.deviation)}")


RGB = Bands(3, 8)
