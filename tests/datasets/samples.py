"""Real samples and official lists, where they lie beside the repository."""

import csv
import pathlib

import pytest

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"


def sample(path):
    """A folder or file of real samples; the test is skipped without it."""
    if not (SHARED / path).exists():
        pytest.skip(f"no real samples of {path} here")
    return SHARED / path


def rows(path):
    """The rows of an official table that was saved as CSV, as dicts."""
    with sample(f"raw_samples/{path}").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(path):
    """{number: name} of an official list with lines `number: name`."""
    lines = sample(f"raw_samples/{path}").read_text(encoding="utf-8").splitlines()
    return {int(number): name.strip() for number, _, name in (line.partition(":") for line in lines)}
