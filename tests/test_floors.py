"""Who may import whom: the floors of the house, read from every import statement."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("caa", "car", "datasets", "deeplab_ksac", "scripts")
FRAMEWORK = {"tensorflow"}
MODEL_PARTS = {f"deeplab_ksac.{name}" for name in ("backbones", "decoders", "heads", "necks", "projection")}
LAYERS = {"deeplab_ksac.layers"}
PYRAMIDS = {"deeplab_ksac.ksac", "deeplab_ksac.aspp", "deeplab_ksac.shared_products"}

ALLOWED = {  # module or package -> what of this project it may import, besides itself
    "caa": set(),
    "car": set(),
    "datasets": set(),
    "deeplab_ksac": {"deeplab_ksac.ksac"},
    "deeplab_ksac.experiment": set(),
    "deeplab_ksac.construct": set(),
    "deeplab_ksac.layers": set(),
    "deeplab_ksac.metrics": set(),
    "deeplab_ksac.visualization": set(),
    "deeplab_ksac.shared_products": LAYERS,
    "deeplab_ksac.ksac": LAYERS | {"deeplab_ksac.shared_products"},
    "deeplab_ksac.aspp": LAYERS | {"deeplab_ksac.ksac"},
    "deeplab_ksac.necks": LAYERS,
    "deeplab_ksac.decoders": LAYERS,
    "deeplab_ksac.backbones": LAYERS,
    "deeplab_ksac.projection": set(),
    "deeplab_ksac.heads": LAYERS | PYRAMIDS | {"caa"},
    "deeplab_ksac.affinity": LAYERS,
    "deeplab_ksac.pixel_losses": set(),
    "deeplab_ksac.dice": {"deeplab_ksac.pixel_losses"},
    "deeplab_ksac.losses": LAYERS
    | {"car", *(f"deeplab_ksac.{name}" for name in ("affinity", "construct", "dice", "pixel_losses"))},
    "deeplab_ksac.model": LAYERS | MODEL_PARTS | {"deeplab_ksac.construct"},
    "deeplab_ksac.windows": LAYERS,
    "deeplab_ksac.inference": LAYERS | {"deeplab_ksac.windows"},
    "deeplab_ksac.tiles": set(),
    "deeplab_ksac.boundaries": set(),
    "deeplab_ksac.confusion_picture": {"deeplab_ksac.visualization"},
    "deeplab_ksac.legend": set(),
    "deeplab_ksac.predictor": {f"deeplab_ksac.{name}" for name in ("inference", "tiles", "training.checkpoints")},
    "deeplab_ksac.relations": {"car"},
    "deeplab_ksac.probes": PYRAMIDS | {"caa"},
    "deeplab_ksac.figures": {"deeplab_ksac.visualization"},
    "deeplab_ksac.evaluation": {f"deeplab_ksac.{name}" for name in ("boundaries", "inference", "metrics")},
    "deeplab_ksac.export": LAYERS | {"deeplab_ksac.inference", "deeplab_ksac.model", "deeplab_ksac.projection"},
    "deeplab_ksac.training": {
        "datasets.info",
        "datasets.pipeline",
        *(
            f"deeplab_ksac.{name}"
            for name in (
                *("backbones", "construct", "evaluation", "experiment", "inference", "losses", "model"),
                "visualization",
            )
        ),
    },
    "deeplab_ksac.experiments": {"deeplab_ksac.experiment"},
    "deeplab_ksac.flops": set(),
    "deeplab_ksac.thesis_flops": {"deeplab_ksac.flops"},
    "scripts": set(PACKAGES),
}
THIRD_PARTY_OF_LAYERS = {"caa": FRAMEWORK, "car": FRAMEWORK, "deeplab_ksac.experiment": {"ml_collections"}}


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path):
    """(module, imported name) of every import in a file; `from a import b` counts as a and as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, f"{node.module}.{alias.name}") for alias in node.names)


def floor_of(module):
    """The longest entry of the table that the module is or lies in."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    if module != "deeplab_ksac" and names[-1] == "deeplab_ksac":
        names = names[:-1]
    return next((name for name in names if name in ALLOWED), None)


def lies_in(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("module, path", [pytest.param(*pair, id=pair[0]) for pair in modules()])
def test_a_module_imports_only_from_its_floors(module, path):
    floor = floor_of(module)
    assert floor is not None, f"{module} has no line in the table"
    for imported, name in imports(path):
        if imported.split(".")[0] in PACKAGES:
            allowed = {floor} | ALLOWED[floor]
            assert lies_in(name, allowed) or lies_in(imported, allowed), f"{module} imports {name}"
        elif floor in THIRD_PARTY_OF_LAYERS:
            known = THIRD_PARTY_OF_LAYERS[floor]
            assert imported.split(".")[0] in known | STANDARD_LIBRARY, f"{module} imports {imported}"
        assert not (imported.startswith("absl.flags") or name == "absl.flags") or floor == "scripts", module
        private = imported.startswith("tensorflow.python") and (module, imported) not in PRIVATE
        assert not private, f"{module} imports the private {imported}"


PRIVATE = {  # what TensorFlow has in no public place: writing out the functions that a SavedModel calls
    ("deeplab_ksac.flops", "tensorflow.python.framework.convert_to_constants"),
}
STANDARD_LIBRARY = {"collections", "dataclasses", "functools", "math", "types", "typing"}


@pytest.mark.parametrize("package", ("keras_cv", "tensorflow_addons"))
def test_a_frozen_package_enters_at_one_place_at_most(package):
    users = [module for module, path in modules() for imported, _ in imports(path) if imported.startswith(package)]
    assert len(set(users)) <= 1
