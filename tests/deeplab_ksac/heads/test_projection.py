"""CAR on the model's side: the projection, its folding into the bottleneck, and the loss."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.export import export_saved_model, fold_projection
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.random_layers import randomize


@pytest.fixture(scope="module", autouse=True)
def backbone():
    with tiny_backbone_known():
        yield


PROJECTION = part("linear", filters=5)
HEADS = {
    "fcn": part("fcn", filters=6),
    "danet": part("danet", filters=6, key_filters=2),
    "upernet": part("upernet", filters=4),
}


def spec_of(head="fcn", *, kernel_size=1, projection=PROJECTION):
    return ModelSpec(
        backbone=TINY_BACKBONE,
        head=HEADS[head],
        projection=projection,
        bottleneck={"filters": 4, "kernel_size": kernel_size},
    )


def random_model(spec):
    """The model with all of the weights behind its backbone at random."""
    model = build_model(spec, 3)
    for layer in model.layers:
        if layer.name.startswith(("projection", "bottleneck", "classifier", "head")):
            randomize(layer)
    return model


def random_images():
    return np.random.default_rng(0).uniform(0, 255, [2, 33, 49, 3]).astype("float32")


@pytest.mark.parametrize(("head", "kernel_size"), [("fcn", 1), ("fcn", 3), ("danet", 1), ("upernet", 1)])
def test_folding_the_projection_changes_no_logits(head, kernel_size):
    spec = spec_of(head, kernel_size=kernel_size)
    model = random_model(spec)
    folded = fold_projection(model, spec)
    images = random_images()
    expected = model(images)["logits"].numpy()
    assert np.ptp(expected) > 0
    # Sums of at most 9 · 16 products.
    np.testing.assert_allclose(folded(images)["logits"], expected, rtol=0, atol=200 * 2**-24 * np.abs(expected).max())
    assert not [layer.name for layer in folded.layers if "projection" in layer.name]
    projections = [layer for layer in model.layers if layer.name.startswith("projection")]
    assert len(projections) == (2 if head == "danet" else 1)
    assert all(layer.use_bias == (kernel_size == 1) for layer in projections)


def test_a_model_without_projection_is_left_as_it_is():
    spec = spec_of(projection=None)
    model = build_model(spec, 3)
    assert fold_projection(model, spec) is model


def test_a_bias_before_a_larger_kernel_is_refused():
    spec = spec_of(kernel_size=3, projection=part("linear", filters=5, use_bias=True))
    with pytest.raises(ValueError, match="projection_0 has a bias, which does not fold into 3×3"):
        fold_projection(build_model(spec, 3), spec)


def test_what_is_exported_has_the_operations_of_the_model_without_car(tmp_path):
    kinds = []
    for name, projection in (("with", PROJECTION), ("without", None)):
        spec = spec_of(projection=projection)
        folded = fold_projection(random_model(spec), spec)
        path = export_saved_model(folded, tmp_path / name, info=fake_info(3), check=False)
        graph = tf.saved_model.load(str(path)).signatures["serving_default"].graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        kinds.append(sorted(node.op for node in nodes))
    assert kinds[0] == kinds[1]


def test_the_loss_regularizes_the_projected_features():
    spec = spec_of("danet")
    model = random_model(spec)
    outputs = model(random_images(), training=True)
    assert [branch.shape[-1] for branch in outputs["features"]] == [5, 5]
    labels = np.random.default_rng(1).integers(0, 3, [2, 33, 49]).astype("int32")
    objective = build_objective((part("cross_entropy"), part("class_aware", moving_average=0.9)), 3)
    objective.build(model.output)
    terms = objective(outputs, labels)
    assert set(terms) == {
        "cross_entropy/logits",
        *(f"class_aware/{n}" for n in ("intra_c2p", "inter_c2c", "inter_c2p")),
    }
    assert [variable.shape.as_list() for variable in objective.variables] == [[3, 5], [3, 5]]
    assert set(objective.diagnose(outputs, labels)) == {
        "class_aware/intra_class_variance",
        "class_aware/center_similarity",
    }


def test_a_projection_without_a_bottleneck_is_refused():
    spec = ModelSpec(backbone=TINY_BACKBONE, head=part("fcn"), projection=part("linear"))
    with pytest.raises(ValueError, match="a projection needs a bottleneck after it, and 'fcn' has none"):
        build_model(spec, 3)
