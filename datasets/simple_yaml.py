"""YAML files as tools write them, read without a library: text, and lists and maps of text.

names: [car, 'traffic light, red']      a list or a map in one line
names: {0: car, 1: "driver's seat"}
names:                                  or in the lines below its key
  0: car                                - car

Anything else is refused where it is asked for, not guessed.
"""

import json
import os
import pathlib
import re
from collections.abc import Iterable

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.errors import in_one_line

Value = str | list[str] | dict[int | str, str]

QUOTED = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
FIRST = r"""(?![-?:](?:\s|$))[^\s'"\[\]{}#&*!|>%@`,]"""  # a text without quotes begins with none of these
COMMENT = r"\s*(?:(?<!\S)#.*)?"
ALONE = re.compile(rf"({QUOTED}|{FIRST}(?:[^:#]|:(?!\s|$)|(?<=\S)#)*?)?{COMMENT}")
INSIDE = rf"({QUOTED}|{FIRST}(?:[^:#,\[\]{{}}]|:(?![\s,\[\]{{}}]|$)|(?<=\S)#)*?)"
ITEMS = {  # by what ends them: (what each looks like, what is behind the last)
    "]": (re.compile(rf"\s*(){INSIDE}\s*(?:,|(?=\]))"), re.compile(rf"\s*\]{COMMENT}")),
    "}": (re.compile(rf"\s*([^\s'\":,#\[\]{{}}]+)\s*:\s*{INSIDE}\s*(?:,|(?=\}}))"), re.compile(rf"\s*\}}{COMMENT}")),
}


def read_yaml(path: str | os.PathLike, keys: Iterable[str]) -> dict[str, Value]:
    """{key: what the file says of it} of those keys that it has; whole numbers before a colon are integers.

    Raises:
        DatasetError: no UTF-8, a line that is not 'key: value', or a value of one of these keys in another form; the
            message has the line.
    """
    path, found, key = pathlib.Path(path), {}, None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8: {in_one_line(error)}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.strip() == "---" or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() or line.startswith("-"):
            found.get(key, []).append((number, line.rstrip()))
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            raise DatasetError(f"{path}: line {number}, {line.strip()!r}, is not 'key: value'")
        found[key] = [(number, value)]
    return {key: _value(path, *found[key]) for key in keys if key in found}


def _value(path, first, *below):
    """The value in the line of a key, or in those below it."""
    place, indents = first, {_indent(line) for _, line in below}
    try:
        content = _of_line(first[1])
        is_whole = not re.fullmatch(COMMENT, first[1])
        for place in below:
            if is_whole or len(indents) > 1:
                raise ValueError(place)
            content = _with(content, place[1].strip())
    except ValueError as error:
        raise DatasetError(
            f"{path}: line {place[0]}, {place[1].strip()!r}, cannot be read; quote a name that has commas, colons or "
            "brackets, and write a list in one line or one name a line"
        ) from error
    return content


def _indent(line):
    return len(line) - len(line.lstrip())


def _of_line(text):
    """A list, a map or a text."""
    if not text.startswith(("[", "{")):
        return _text(text)
    (item, end), found, place = ITEMS["]" if text[0] == "[" else "}"], [], 1
    while not end.fullmatch(text, place):
        match = item.match(text, place)
        if match is None:
            raise ValueError(text)
        found.append((_key(match[1]), _unquoted(match[2])))
        place = match.end()
    return [value for _, value in found] if text[0] == "[" else dict(found)


def _with(content, line):
    """What the lines above have given, with one line more: an item of a list, or a key and its value."""
    is_item = line == "-" or line.startswith("- ")  # -1 is a number
    if content == "":
        content = [] if is_item else {}
    key, colon, text = line.partition(":")
    if not isinstance(content, list if is_item else dict) or not (is_item or colon):
        raise ValueError(line)
    return [*content, _text(line[1:])] if is_item else {**content, _key(key.strip()): _text(text)}


def _text(text):
    match = ALONE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return _unquoted(match[1] or "")


def _unquoted(text):
    if text.startswith('"'):
        return json.loads(text, strict=False)  # of YAML's escapes those that JSON has
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _key(text):
    return int(text) if re.fullmatch(r"-?\d+", text) else text
