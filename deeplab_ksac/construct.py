"""From a named part to the object it names."""

import difflib
import inspect

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def construct(table, part, **shared):
    """Builds `table[part.name]` with the part's own arguments and those of the shared ones that it takes.

    Raises:
        ValueError: a name that the table does not have, or an argument that the constructor does not take; the message
            lists those there are.
    """
    if part.name not in table:
        near = difflib.get_close_matches(part.name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{part.name!r} is none of {', '.join(sorted(table))}{hint}")
    constructor = table[part.name]
    parameters = inspect.signature(constructor).parameters.values()
    taken = [parameter.name for parameter in parameters if parameter.kind not in VARIADIC]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        taken.append("name")  # of a Keras layer
    unknown = sorted(set(part.args) - set(taken))
    if unknown:
        raise ValueError(f"{part.name!r} takes no {unknown[0]!r}; it takes {', '.join(taken)}")
    return constructor(**{**{name: value for name, value in shared.items() if name in taken}, **part.args})
