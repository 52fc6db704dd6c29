"""Files of one's own beside what names them: an experiment's JSON says "code/my_experiment.py:MyHead", and the folder
`code` beside it has the file as it was when the training began."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.experiment import Experiment, from_dict, to_dict
from deeplab_ksac.import_paths import about_missing, content_of, file_of, is_import_path
from deeplab_ksac.storage import absolute, place
from deeplab_ksac.storage.copies import kept_on_this_machine

FOLDER = "code"


def own_parts(experiment: Experiment) -> list[str]:
    """The import paths of an experiment's parts that are no registry's."""
    return list(_paths(to_dict(experiment)))


def packed(experiment: Experiment) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(an experiment as JSON holds it, its files below `FOLDER`, {path there: content} of each file).

    The content is what this process has run of the file, which may have been edited since.

    Raises:
        ValueError: a file is missing or cannot be read, or two of one name differ.
    """
    fields, files, sources = json.loads(json.dumps(to_dict(experiment))), {}, {}
    for source in filter(None, map(file_of, _paths(fields))):
        name, content = _packed_name(source), _content(source)
        if files.setdefault(name, content) != content:
            raise ValueError(f"{sources[name]} and {source} have one name and differ; give one of them another name")
        sources.setdefault(name, source)
    return _with_paths(fields, recorded_path), files


def unpacked(experiment: Experiment, folder: str | os.PathLike) -> Experiment:
    """The experiment of a JSON file in a folder, with the absolute paths of the files beside it, or of their copies."""
    beside = absolute(folder)
    fields = _with_paths(
        to_dict(experiment), lambda path: _moved(path, lambda file: str(kept_on_this_machine(beside / file)))
    )
    return from_dict(Experiment, fields)


def recorded_path(path: str) -> str:
    """The import path, or name of a registry, as a packed experiment has it: without the folder that a file is in."""
    return _moved(path, _packed_name)


def changed_files(files: Mapping[str, bytes], folder: str | os.PathLike) -> list[str]:
    """Of packed files, the names of those that a folder has with another content."""
    paths = {name: place(folder) / name for name in files}
    return [name for name, path in paths.items() if path.is_file() and path.read_bytes() != files[name]]


def _paths(fields: Any) -> Iterator[str]:
    if _is_own(fields):
        yield fields["name"]
    if isinstance(fields, Mapping | list):
        for item in fields.values() if isinstance(fields, Mapping) else fields:
            yield from _paths(item)


def _with_paths(fields: Any, changed: Callable[[str], str]) -> Any:
    """The fields with `changed(path)` in place of each import path."""
    if isinstance(fields, list):
        return [_with_paths(item, changed) for item in fields]
    if not isinstance(fields, Mapping):
        return fields
    inner = {key: _with_paths(item, changed) for key, item in fields.items()}
    return {**inner, "name": changed(fields["name"])} if _is_own(fields) else inner


def _is_own(fields):
    """Whether something in what `to_dict` gives is a part with an import path."""
    return (
        isinstance(fields, Mapping)
        and set(fields) == {"name", "args"}
        and isinstance(fields["name"], str)
        and is_import_path(fields["name"])
    )


def _packed_name(file):
    return f"{FOLDER}/{os.path.basename(file)}"


def _moved(path, place):
    """The import path of the same name in the file's new place."""
    file = file_of(path)
    return path if file is None else f"{place(file)}:{path.rpartition(':')[2]}"


def _content(file):
    try:
        return content_of(file)
    except FileNotFoundError:
        raise ValueError(about_missing(file)) from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {in_one_line(error)}") from error
