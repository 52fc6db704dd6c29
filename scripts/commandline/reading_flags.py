"""Flags that say how a raw folder is read, shared by the commands that read one."""

import dataclasses
from typing import Any

from absl import flags

from deeplab_ksac.bands import MOST_BANDS, RGB
from deeplab_ksac.datasets.hold_out import HeldOut
from deeplab_ksac.datasets.reading import BACKGROUND, IGNORED, OF_CLASSES, Reading
from deeplab_ksac.scripts.commandline import values

OF_READING = tuple(field.name for field in dataclasses.fields(Reading))
OF_HELD_OUT = {"split_seed": 0, "split_group": None}


def define() -> None:
    """Defines the flags."""
    values.pairs("label_map", None, "Labels of the values in the masks, as in 255:1,0:0; any other value is an error.")
    flags.DEFINE_string(
        "colors",
        None,
        f'The masks are RGB: "{OF_CLASSES}" takes the colors of the class list, anything else is a legend file.',
    )
    for what in ("image", "mask"):
        flags.DEFINE_string(f"{what}_prefix", "", f"What the {what}s' names have in front of the part they share.")
        flags.DEFINE_string(f"{what}_suffix", "", f"What the {what}s' names have behind it, such as _mask.")
    flags.DEFINE_enum(
        "unlabeled", BACKGROUND, [BACKGROUND, IGNORED], "What a pixel is that no outline covers: a class, or ignored."
    )
    flags.DEFINE_string("image_key", "", "The feature or column of the pictures (tfds, hf).")
    flags.DEFINE_string("label_key", "", "The feature or column of the label maps (tfds, hf).")
    values.whole_number(
        "channels",
        RGB.number,
        "Bands of the pictures: 3 for RGB of 8 bits, as which any picture is read; any other number for pictures of so "
        "many bands of 8 or 16 bits (PNG, TIFF), which are taken as they are.",
        least=1,
        most=MOST_BANDS,
    )
    values.number("val_share", None, "Share of the pictures held out as split val.", "(0, 1)")
    values.whole_number("split_seed", 0, "Seed of --val_share: which pictures are held out.")
    flags.DEFINE_string(
        "split_group",
        None,
        "Regular expression: pictures in whose names its first group is the same are held out together (--val_share).",
    )


def given(flag_values: Any) -> list[str]:
    """The names of those flags that differ from their defaults."""
    defaults = {**{name: getattr(Reading, name) for name in OF_READING}, **OF_HELD_OUT, "val_share": None}
    return [name for name, default in defaults.items() if getattr(flag_values, name) != default]


def reading(given: Any) -> Reading:
    """The `Reading` that the flags describe."""
    return Reading(**{name: getattr(given, name) for name in OF_READING})


def held_out(given: Any) -> HeldOut | None:
    """The `HeldOut` that the flags describe; None without --val_share.

    Raises:
        ValueError: --split_seed or --split_group without it, or an expression that is none.
    """
    if given.val_share is not None:
        return HeldOut(given.val_share, seed=given.split_seed, group=given.split_group)
    for name, default in OF_HELD_OUT.items():
        if getattr(given, name) != default:
            raise ValueError(f"--{name}={getattr(given, name)} is about the pictures of --val_share; give it too")
    return None
