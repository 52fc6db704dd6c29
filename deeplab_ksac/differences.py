"""In which fields two configurations differ, as lines for messages."""

import typing
from collections.abc import Mapping


class NotGiven:
    """What stands for an argument that is left out beside one that is None, which need not be its default."""

    def __repr__(self) -> str:
        return "not given"


def differences(old: typing.Any, new: typing.Any, path: str = "") -> list[str]:
    """Lines "path: old -> new" for every field in which two `to_dict` values differ, also in what one of them lacks."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for key in sorted({*old, *new})
            for line in differences(_at(key, old, new), _at(key, new, old), f"{path}.{key}" if path else key)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in differences(a, b, f"{path}[{i}]")
        ]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]


def _at(key, fields, others):
    """What is under a key that others may have alone."""
    absent = NotGiven() if others.get(key) is None else None
    return fields.get(key, absent)
