"""Every argument of what Keras saves by its configuration is in that configuration: what is missing comes back as the
default, and the configuration of what came back is equal to the first."""

import ast

import pytest

from tests.places import ROOT

WHOLE = ("CompositeLayer", "Layer", "Schedule")  # bases that have no arguments of their own but Keras' for all layers


def method(definition, name):
    """The method of that name, or None."""
    return next((each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == name), None)


def listed(definition):
    """What a class lists as `arguments`, as heads do whose layer has them; or None."""
    assigned = (each for each in definition.body if isinstance(each, ast.Assign))
    return next((each for each in assigned if ast.unparse(each.targets[0]) == "arguments"), None)


def is_constant(node):
    """Whether a node is a value that is written out."""
    return isinstance(node, ast.Constant)


CLASSES = {
    each.name: each
    for package in ("caa", "car", "deeplab_ksac")
    for path in sorted((ROOT / package).rglob("*.py"))
    for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(each, ast.ClassDef)
}


def family(name):
    """A class and its bases, as far as they are ours."""
    ours = [base.id for base in CLASSES[name].bases if isinstance(base, ast.Name) and base.id in CLASSES]
    return [CLASSES[name], *(each for base in ours for each in family(base))]


def saved():
    """The classes that are registered with Keras and have no other base of Keras than `WHOLE`."""
    for name, definition in CLASSES.items():
        registered = any("register_keras_serializable" in ast.unparse(each) for each in definition.decorator_list)
        bases = {ast.unparse(base).rpartition(".")[2] for each in family(name) for base in each.bases}
        if registered and bases and bases <= {*WHOLE, *(each.name for each in family(name))}:
            yield name


@pytest.mark.parametrize("name", sorted(saved()))
def test_a_configuration_has_every_argument(name):
    constructor = next(filter(None, (method(each, "__init__") for each in family(name))), None)
    arguments = constructor.args if constructor else ast.arguments([], [], None, [], [], None, [])
    names = {each.arg for each in (*arguments.args, *arguments.kwonlyargs)} - {"self"}
    described = [method(each, "get_config") for each in family(name)]
    described.append(next(filter(None, map(listed, family(name))), None))
    assert names <= {each.value for part in filter(None, described) for each in ast.walk(part) if is_constant(each)}


def test_the_layers_of_anybodys_model_are_among_them():
    assert {"KSAC", "ASPP", "ChannelizedAxialAttention", "ClassAwareRegularizer", "Bottleneck", "Warmup"} <= {*saved()}
