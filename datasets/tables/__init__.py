"""Class names, colors and numberings of the data sets, one CSV file each; its first lines say where it comes from."""

import csv
import pathlib
from collections.abc import Iterable, Mapping


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of `<name>.csv`, in order: a dict of strings by column each."""
    lines = pathlib.Path(__file__).with_name(f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def read_colors(rows: Iterable[Mapping[str, str]]) -> tuple[tuple[int, int, int], ...]:
    """(red, green, blue) of each row."""
    return tuple((int(row["red"]), int(row["green"]), int(row["blue"])) for row in rows)
