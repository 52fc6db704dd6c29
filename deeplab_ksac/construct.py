"""From a part to the object that its name or import path stands for."""

import contextlib
import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from deeplab_ksac.experiment import Part
from deeplab_ksac.import_paths import is_import_path, line_in, resolve

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
PLAIN = bool | int | float | str | tuple | None


class PartError(ValueError):
    """A part of an experiment cannot be made; the message begins with its path in the experiment."""


@contextlib.contextmanager
def at(path: str) -> Iterator[None]:
    """Inside, a ValueError gets the path of the experiment's field that is made there, unless it has one already.

    Raises:
        PartError: instead of the ValueError.
    """
    try:
        yield
    except PartError:
        raise
    except ValueError as error:
        raise PartError(f"{path}: {error}") from error


def construct(table: Mapping[str, Callable], part: Part, /, **shared: Any) -> Any:
    """Builds `table[part.name]`, or what the part's import path names, with the part's own arguments and those of the
    shared ones that it takes.

    Raises:
        ValueError: a name that the table does not have, or an import path under which there is nothing; as
            `construct_with`.
    """
    if is_import_path(part.name):
        own = resolve(part.name)
        try:
            return construct_with(part.args, own, part.name, **shared)
        except ValueError as error:
            raise ValueError(f"{error}{line_in(own, error)}") from error
    if part.name not in table:
        near = difflib.get_close_matches(part.name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{part.name!r} is none of {', '.join(sorted(table))}{hint}")
    return construct_with(part.args, table[part.name], part.name, **shared)


def construct_with(arguments: Mapping[str, Any], constructor: Callable, kind: str, /, **shared: Any) -> Any:
    """Calls a constructor with an experiment's `arguments` and those of the shared ones that it takes.

    Raises:
        ValueError: an argument that the constructor does not take, whose message lists those there are; one that is
            missing, or whose value has a type that the constructor cannot take. `kind` is what the message calls it.
    """
    try:
        parameters = tuple(inspect.signature(constructor).parameters.values())
    except (TypeError, ValueError) as error:  # some that are written in C do not say what they take
        raise ValueError(f"{kind!r} cannot be called by its arguments' names: {error}") from error
    taken = [parameter.name for parameter in parameters if parameter.kind not in VARIADIC]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        taken.append("name")  # of a Keras layer
    unknown = sorted(set(arguments) - set(taken))
    if unknown:
        raise ValueError(f"{kind!r} takes no {unknown[0]!r}; it takes {', '.join(taken)}")
    for parameter in parameters:
        value = arguments.get(parameter.name, False)
        if parameter.annotation is bool and not isinstance(value, bool):  # "no" would be true
            raise ValueError(f"{parameter.name} must be True or False, not {value!r}")
    try:
        return constructor(**{**{key: value for key, value in shared.items() if key in taken}, **arguments})
    except TypeError as error:
        raise ValueError(f"{kind!r} cannot be made of {dict(arguments)}: {error}") from error


def with_defaults(table: Mapping[str, Callable], part: Part, names: Iterable[str]) -> Part:
    """The part with the default of every argument among `names` that it does not give; as it is if not in the table.

    Defaults that are no plain values, such as layers, are left out.
    """
    parameters = inspect.signature(table[part.name]).parameters if part.name in table else {}
    defaults = {name: parameters[name].default for name in names if name in parameters}
    plain = {name: value for name, value in defaults.items() if isinstance(value, PLAIN)}
    return dataclasses.replace(part, args={**plain, **part.args})


def bound(part: Part, /, *given: str) -> Callable:
    """The function that a part's import path names, with the part's own arguments; it is called with others later.

    Args:
        part: of one's own.
        given: the names of what it is called with, in order.

    Raises:
        ValueError: there is no such function, or it does not take these arguments.
    """
    function = resolve(part.name)
    try:
        inspect.signature(function).bind(*given, **part.args)
    except (TypeError, ValueError) as error:
        listed = ", ".join([*given, *(f"{name}={value!r}" for name, value in part.args.items())])
        raise ValueError(f"{part.name!r} cannot be called with ({listed}): {error}") from error
    return functools.partial(function, **part.args)
