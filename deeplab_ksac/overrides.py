"""Fields of an experiment set by their paths, as on a command line: "stages[0].data.crop_size" to "(33, 33)".

A path leads through fields, list items and arguments of parts. What is None on the way comes into being, so that
"model.neck.name" gives a model a neck; of a part, any argument can be set, whether it was given before or not.
"""

import ast
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from deeplab_ksac.experiment import Experiment, from_dict, to_dict

STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d{1,9})\]", re.ASCII)
WORDS = {"true": True, "false": False, "none": None}  # as flags write them; Python's own begin with a capital


def override(experiment: Experiment, texts: Iterable[tuple[str, str]]) -> Experiment:
    """The experiment with fields of which each is given by its path and the text of its value, in this order.

    The text of a number, tuple, list or dict is Python's; a tuple may also be written without parentheses and quotes,
    "camvid/train,camvid/val", and of one item without a comma. "none" takes away what is optional.

    Raises:
        ValueError: a path that leads nowhere, a later one that would undo an earlier one, or a value that the field
            cannot have; the message begins with the path.
    """
    fields, before = to_dict(experiment), []
    for path, text in texts:
        steps = steps_of(path)
        undone = [earlier for earlier in before if steps_of(earlier)[: len(steps)] == steps]
        if undone:
            raise ValueError(f"{path} would undo {undone[0]}, which is given before it; give it first")
        before.append(path)
        _set(fields, steps, text)
    return from_dict(Experiment, fields)


def steps_of(path: str) -> list[str | int]:
    """["stages", 0, "steps"] of "stages[0].steps".

    Raises:
        ValueError: the path is not written so.
    """
    found, end = [], 0
    for match in STEP.finditer(path):
        if match.start() != end or (end == 0) == match.group().startswith((".", "[")):
            break
        found.append(match[1] or int(match[2]))
        end = match.end()
    if not found or end != len(path):
        raise ValueError(f"{path!r} is not the path of a field, such as stages[0].data.crop_size")
    return found


def type_at(path: str) -> Any:
    """The type of an experiment's field, such as bool; `Any` for arguments of parts.

    Raises:
        ValueError: there is no such field.
    """
    kind, walked = Experiment, ""
    for step in steps_of(path):
        kind = _item_type(_without_none(kind), step, walked)
        walked = _joined(walked, step)
    return _without_none(kind)


def _set(fields, steps, text):
    """Sets one value in nested dicts and lists."""
    place, kind, walked = fields, Experiment, ""
    for index, step in enumerate(steps):
        kind = _item_type(_without_none(kind), step, walked)
        if isinstance(step, int) and (not isinstance(place, list) or step >= len(place)):
            known = f"has {len(place)}, counted from 0" if isinstance(place, list) else f"is {place!r}"
            raise ValueError(f"{walked}[{step}] does not exist: {walked} {known}")
        if isinstance(step, str) and not isinstance(place, dict):
            raise ValueError(f"{_joined(walked, step)} does not exist: {walked} is {place!r}")
        walked = _joined(walked, step)
        if index == len(steps) - 1:
            place[step] = _value(kind, text)
        elif isinstance(step, str) and isinstance(steps[index + 1], str) and place.get(step) is None:
            place[step] = {}
        place = place[step] if isinstance(step, int) else place.get(step)


def _item_type(kind, step, walked):
    """The type of an item of what has the type `kind`, by its name or index."""
    if kind is Any:
        return Any
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(step, str) and Mapping in (kind, origin):
        return Any
    if isinstance(step, int) and origin is tuple:
        return arguments[0]
    hints = typing.get_type_hints(kind) if isinstance(step, str) and isinstance(kind, type) else {}
    if step in hints:
        return hints[step]
    path = _joined(walked, step)
    if not hints:
        raise ValueError(f"{path} does not exist: {walked} has no {'items' if isinstance(step, int) else 'fields'}")
    near = difflib.get_close_matches(step, hints, n=1)
    hint = f'. Did you mean "{near[0]}"?' if near else ""
    raise ValueError(f"{path} is not a field of {kind.__name__}; it has {', '.join(hints)}{hint}")


def _without_none(kind):
    """X of X | None."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) in (typing.Union, types.UnionType) else kind


def _joined(walked, step):
    return f"{walked}[{step}]" if isinstance(step, int) else f"{walked}.{step}" if walked else step


def _value(kind, text):
    """What a text says of a field; one of the wrong type is found where the experiment is made."""
    optional = kind is not _without_none(kind)
    kind = _without_none(kind)
    if optional and text.lower() == "none":
        return None
    if kind is str:
        return text
    value = to_dict(_literal(text))
    if typing.get_origin(kind) is not tuple:
        return value
    if isinstance(value, str) and "," in value:
        return [_literal(word.strip()) for word in value.split(",") if word.strip()]
    return value if isinstance(value, list) else [value]


def _literal(text):
    """The Python value that a text is, or the text itself."""
    if text in WORDS:
        return WORDS[text]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
