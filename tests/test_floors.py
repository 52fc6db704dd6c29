"""Who may import whom: the floors of the house, read from every import statement.

A module imports from the floors below its own and from its own package; nothing imports upward or from a neighbor on
its floor, unless the neighbor is named in `NEIGHBORS`.
"""

import ast
import pathlib

import pytest

from tests.places import ROOT

FOLDERS = {  # package -> its folder in the repository
    "caa": "caa",
    "car": "car",
    "deeplab_ksac": "deeplab_ksac",
    "deeplab_ksac.datasets": "datasets",
    "deeplab_ksac.scripts": "scripts",
}
FLOORS = (  # from the ground up; of several entries that a module lies in, the longest counts
    ("deeplab_ksac.keras2", "deeplab_ksac.errors"),
    ("deeplab_ksac.any_keras", "deeplab_ksac.storage"),
    ("deeplab_ksac.whole_files",),
    (
        "deeplab_ksac.tensor_ops",
        "deeplab_ksac.arguments",
        "deeplab_ksac.differences",
        "deeplab_ksac.import_paths",
        "deeplab_ksac.json_files",
        "deeplab_ksac.literal_paths",
        "deeplab_ksac.only_one",
        "deeplab_ksac.overwriting",
        "deeplab_ksac.serving.protocol",
        "deeplab_ksac.zero_weights",
        "deeplab_ksac.datasets.splits",
    ),
    ("deeplab_ksac.bands", "deeplab_ksac.fields"),
    ("caa", "car", "deeplab_ksac.datasets", "deeplab_ksac.experiment"),
    (
        "deeplab_ksac.construct",
        "deeplab_ksac.devices",
        "deeplab_ksac.dropout",
        "deeplab_ksac.experiments",
        "deeplab_ksac.foreign_code",
        "deeplab_ksac.layers",
        "deeplab_ksac.metrics",
        "deeplab_ksac.overrides",
        "deeplab_ksac.own_files",
    ),
    ("deeplab_ksac.flops", "deeplab_ksac.shared_products", "deeplab_ksac.figures"),
    ("deeplab_ksac.ksac", "deeplab_ksac.backbones", "deeplab_ksac.fractional_rates"),
    ("deeplab_ksac.aspp",),
    ("deeplab_ksac.heads", "deeplab_ksac.losses"),
    ("deeplab_ksac.model", "deeplab_ksac.figures.probes"),
    (
        "deeplab_ksac.flops.tables",
        "deeplab_ksac.precision",
        "deeplab_ksac.prediction.scores",
        "deeplab_ksac.prediction.sliding",
    ),
    ("deeplab_ksac.evaluation", "deeplab_ksac.export", "deeplab_ksac.training"),
    ("deeplab_ksac.runs.checkpoints", "deeplab_ksac.runs.places", "deeplab_ksac.runs.workdir"),
    ("deeplab_ksac.models",),
    ("deeplab_ksac.runs", "deeplab_ksac.prediction"),
    ("deeplab_ksac.serving",),
    (
        "deeplab_ksac.training.class_transfer",
        "deeplab_ksac.training.initial_weights",
        "deeplab_ksac.training.log",
        "deeplab_ksac.training.mlflow_listener",
    ),
    ("deeplab_ksac.training.feature_caching", "deeplab_ksac.training.stage"),
    ("deeplab_ksac.training.loop",),
    ("deeplab_ksac.runs.picture_features",),
    ("deeplab_ksac.runs.picture_measures",),
    ("deeplab_ksac.runs.claims_pictures", "deeplab_ksac.runs.paired_comparison"),
    ("deeplab_ksac.runs.paired_study",),
    ("deeplab_ksac.scripts",),
)
NEIGHBORS = {  # the two halves of what a workdir gives: its model, and what that model says of pictures
    ("deeplab_ksac.runs", "deeplab_ksac.prediction"),
    ("deeplab_ksac.prediction", "deeplab_ksac.runs"),
}
LAZY = "deeplab_ksac"  # its public names are loaded from any floor, when they are asked for
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
STANDARD_LIBRARY = {"collections", "contextlib", "dataclasses", "functools", "math", "numbers", "types", "typing"}
THIRD_PARTY = {  # what packages of the ground floors may import besides the standard library
    "caa": set(),  # of which Keras and tensor operations they are is decided in deeplab_ksac
    "car": set(),
    "deeplab_ksac.experiment": set(),
}
ON_ANY_KERAS = (  # layers of Keras 2 or 3, whichever is chosen when the first of them is imported
    "caa",
    "car",
    "deeplab_ksac.any_keras",
    "deeplab_ksac.aspp",
    "deeplab_ksac.fractional_rates",
    "deeplab_ksac.ksac",
    "deeplab_ksac.layers",
    "deeplab_ksac.shared_products",
    "deeplab_ksac.tensor_ops",
)
PRIVATE = {  # what TensorFlow has in no public place: writing out what a SavedModel calls, and whether oneDNN computes
    ("deeplab_ksac.flops.count", "tensorflow.python.framework.convert_to_constants"),
    ("deeplab_ksac.tensor_ops.placement", "tensorflow.python.util"),
}


def modules():
    """(module, its file) of everything that is installed."""
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            inner = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *inner)).removesuffix(".__init__"), path


def imports(path):
    """(module, imported name) of every import in a file; `from a import b` counts as a and as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, f"{node.module}.{alias.name}") for alias in node.names)


def entry_of(module):
    """The longest entry of the floors that the module is or lies in."""
    parts = module.split(".")
    return next((name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in FLOOR_OF), None)


def lies_in(module, package):
    return module == package or module.startswith(f"{package}.")


MODULES = dict(modules())


def package_of(module):
    """caa, car, or the part of deeplab_ksac that the module lies in."""
    return ".".join(module.split(".")[:2]) if lies_in(module, LAZY) else module.split(".")[0]


def may_import(module, imported):
    if package_of(module) == package_of(imported) or imported == LAZY:
        return True
    ours, theirs = entry_of(module), entry_of(imported)
    neighbors = any(lies_in(module, a) and lies_in(imported, b) for a, b in NEIGHBORS)
    return theirs is not None and (FLOOR_OF[theirs] < FLOOR_OF[ours] or neighbors)


@pytest.mark.parametrize("module", [name for name in MODULES if name != LAZY])
def test_a_module_imports_only_from_the_floors_below(module):
    assert entry_of(module) is not None, f"{module} is on no floor"
    for imported, name in imports(MODULES[module]):
        of_ours = name if name in MODULES else imported
        if of_ours in MODULES:
            assert may_import(module, of_ours), f"{module} imports {of_ours}"
        elif entry_of(module) in THIRD_PARTY:
            known = THIRD_PARTY[entry_of(module)]
            assert imported.split(".")[0] in known | STANDARD_LIBRARY, f"{module} imports {imported}"
        assert not lies_in(imported, "datasets") and not lies_in(imported, "scripts"), f"{module} imports {imported}"
        assert not lies_in(name, "absl.flags") or lies_in(module, "deeplab_ksac.scripts"), module
        private = imported.startswith("tensorflow.python") and (module, imported) not in PRIVATE
        assert not private, f"{module} imports the private {imported}"


def is_on_any_keras(module):
    return any(lies_in(module, name) for name in ON_ANY_KERAS)


@pytest.mark.parametrize("module", [name for name in MODULES if name != LAZY and not is_on_any_keras(name)])
def test_the_product_chooses_keras_2_before_it_loads_the_layers(module):
    of_ours = [name if name in MODULES else imported for imported, name in imports(MODULES[module])]
    chosen = False
    for imported in of_ours:
        chosen = chosen or imported == "deeplab_ksac.keras2"
        assert chosen or not is_on_any_keras(imported), f"{module} imports {imported} before deeplab_ksac.keras2"


@pytest.mark.parametrize("module", [name for name in MODULES if is_on_any_keras(name)])
def test_layers_leave_the_choice_of_keras_to_any_keras(module):
    names = {imported for imported, _ in imports(MODULES[module])}
    assert "deeplab_ksac.keras2" not in names or module == "deeplab_ksac.any_keras"


@pytest.mark.parametrize("module", [name for name in MODULES if package_of(name) in ("caa", "car")])
def test_caa_and_car_take_nothing_of_the_product_but_keras_and_its_operations(module):
    of_ours = {name if name in MODULES else imported for imported, name in imports(MODULES[module])} & set(MODULES)
    theirs = {name for name in of_ours if package_of(name) != package_of(module)}
    assert theirs <= {"deeplab_ksac.any_keras", "deeplab_ksac.tensor_ops", "deeplab_ksac.tensor_ops.maps"}


def test_layers_on_any_keras_import_tensorflow_where_it_is_the_backend_alone():
    users = {
        name
        for name in MODULES
        if is_on_any_keras(name)
        for imported, _ in imports(MODULES[name])
        if lies_in(imported, "tensorflow")
    }
    assert users == {
        "deeplab_ksac.any_keras",
        "deeplab_ksac.layers.fused_norm",
        "deeplab_ksac.tensor_ops.atrous",
        "deeplab_ksac.tensor_ops.depthwise",
        "deeplab_ksac.tensor_ops.of_tensorflow",
        "deeplab_ksac.tensor_ops.placement",
    }


@pytest.mark.parametrize("package", ("keras_cv", "tensorflow_addons"))
def test_a_frozen_package_enters_at_one_place_at_most(package):
    users = [module for module, path in MODULES.items() for imported, _ in imports(path) if lies_in(imported, package)]
    assert len(set(users)) <= 1


def test_the_library_tests_import_no_command():
    """Only the tests of the commands import them."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if pathlib.Path("scripts") in path.relative_to(ROOT / "tests").parents:
            continue
        commands = [name for imported, name in imports(path) if lies_in(imported or "", "deeplab_ksac.scripts")]
        assert not commands, f"{path} imports {commands}"
