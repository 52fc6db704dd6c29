"""Models put together from parts."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.decoders import Bottleneck
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model, segmentation_model
from deeplab_ksac.training.optimizers import build_optimizer
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone, tiny_backbone_known
from tests.deeplab_ksac.training.tiny import MODEL

HEADS_OF_CHAPTER_2 = ("fcn", "deeplabv3", "ksac")


WITH_DECODER = dataclasses.replace(MODEL, decoder=part("low_level", filters=4, low_level_filters=2))


@pytest.fixture(scope="module", autouse=True)
def backbone():
    with tiny_backbone_known():
        yield


def spec(**changes):
    return dataclasses.replace(MODEL, **{"backbone": TINY_BACKBONE, **changes})


@pytest.mark.parametrize("head", HEADS_OF_CHAPTER_2)
@pytest.mark.parametrize("decoder", (None, part("low_level", filters=4, low_level_filters=2)))
def test_logits_have_the_size_of_the_image(head, decoder):
    model = build_model(spec(head=part(head, filters=4), decoder=decoder), 3)
    for size in ((33, 33), (40, 29)):
        outputs = model(tf.random.uniform([2, *size, 3], 0, 255))
        assert outputs["logits"].shape == (2, *size, 3) and outputs["logits"].dtype == tf.float32
        assert outputs["features"].shape[1:3] == tuple(-(-side // 16) for side in size)


def test_rates_are_doubled_at_output_stride_8():
    head = build_model(spec(head=part("ksac", filters=4), output_stride=8), 3).get_layer("head")
    assert head.context.pyramid.atrous_rates == (12, 24, 36)
    head = build_model(spec(head=part("deeplabv3", filters=4), output_stride=16), 3).get_layer("head")
    assert head.context.atrous_rates == (6, 12, 18)


def test_an_auxiliary_classifier_is_an_output_of_its_own():
    model = build_model(spec(auxiliary={"level": "c4", "filters": 4}), 3)
    outputs = model(tf.zeros([1, 33, 41, 3]))
    assert outputs["aux_logits"].shape == outputs["logits"].shape == (1, 33, 41, 3)
    names = {weight.name for weight in keras.Model(model.input, model.output["logits"]).weights}
    assert not any("auxiliary" in name for name in names)


def test_an_experiment_may_replace_the_heads_bottleneck():
    model = build_model(spec(bottleneck={"filters": 6, "kernel_size": 3}), 3)
    assert model.get_layer("bottleneck_0").conv.conv.kernel.shape[:2] == (3, 3)
    assert model.get_layer("classifier").kernel.shape == (1, 1, 6, 3)


def test_both_methods_of_ksac_are_one_model():
    models = [build_model(spec(head=part("ksac", filters=4, method=method)), 3) for method in ("shared", "direct")]
    models[1].set_weights(models[0].get_weights())
    image = tf.random.uniform([2, 49, 33, 3], 0, 255)
    np.testing.assert_allclose(*(model(image)["logits"] for model in models), atol=1e-5)


@pytest.mark.parametrize("policy", ("mixed_bfloat16", "mixed_float16"))
def test_mixed_precision_gives_float32_logits_and_finite_gradients(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = build_model(WITH_DECODER, 3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    with tf.GradientTape() as tape:
        logits = model(tf.random.uniform([2, 33, 33, 3], 0, 255), training=True)["logits"]
        judged = tf.reduce_mean(tf.square(logits))
    assert logits.dtype == tf.float32
    for gradient in tape.gradient(judged, model.trainable_variables):
        assert np.all(np.isfinite(gradient.numpy()))


def test_the_whole_model_compiles_with_xla():
    model = build_model(MODEL, 3)
    image = tf.random.uniform([1, 33, 33, 3], 0, 255)
    compiled = tf.function(lambda x: model(x)["logits"], jit_compile=True)
    np.testing.assert_allclose(compiled(image), model(image)["logits"], atol=1e-5)


def test_the_whole_model_is_saved_and_loaded(tmp_path):
    model = build_model(WITH_DECODER, 3)
    model.save(tmp_path / "model.keras")
    image = tf.random.uniform([1, 33, 40, 3], 0, 255)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(image)["logits"], model(image)["logits"])


def test_a_whole_model_of_mixed_precision_is_loaded_in_it(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = build_model(dataclasses.replace(WITH_DECODER, auxiliary={"filters": 4}, projection=part("linear")), 3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    types = [
        [part.compute_dtype for part in m.submodules if isinstance(part, keras.layers.Layer)] for m in (model, loaded)
    ]
    assert types[0] == types[1] and "float16" in types[0]
    image = tf.random.uniform([1, 33, 40, 3], 0, 255)
    for name, value in loaded(image).items():
        np.testing.assert_array_equal(value, model(image)[name])


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"head": part("kasc")}, "'kasc' is none of .*; did you mean 'ksac'?"),
        ({"head": part("ksac", rates=(1,))}, "'ksac' takes no 'rates'; it takes filters, atrous_rates"),
        ({"backbone": part("resnet51")}, "'resnet51' is none of"),
        ({"output_stride": 4}, "output_stride must be"),
        ({"bottleneck": {"filter": 4}}, "'bottleneck' takes no 'filter'; it takes filters, kernel_size, dropout"),
        ({"auxiliary": {"stage": "c4"}}, "'auxiliary' takes no 'stage'; it takes num_classes, level, filters"),
        ({"norm": {"momentun": 0.9}}, "'norm' takes no 'momentun'; it takes momentum, epsilon, synchronized"),
        ({"norm": {"momentum": "high"}}, "'norm' cannot be made of {'momentum': 'high'}: "),
        ({"bottleneck": {"filters": "many"}}, "filters must be an integer of at least 1, not 'many'"),
        ({"bottleneck": {"dropout": "much"}}, "'bottleneck' cannot be made of {'dropout': 'much'}: "),
        ({"auxiliary": {"filters": None}}, "filters must be an integer of at least 1, not None"),
        ({"auxiliary": {"level": "c6"}}, "level must be of c2, c3, c4, c5, not 'c6'"),
        ({"decoder": part("low_level", level=4)}, "level must be of c2, c3, c4, c5, not 4"),
        ({"head": part("ocr", levels=("c5", "c6"))}, r"levels must be of c2, c3, c4, c5, not \('c5', 'c6'\)"),
        ({"head": part("fcn", kernel_size="wide")}, "kernel_size must be an integer of at least 1, not 'wide'"),
        ({"backbone": part("resnet50", blocks=3)}, "'resnet50' cannot be made of {'blocks': 3}: "),
    ),
)
def test_a_part_that_does_not_exist_is_refused_in_words(changes, words):
    with pytest.raises(ValueError, match=words):
        build_model(spec(**changes), 3)


@pytest.mark.parametrize(
    "changes, path",
    (
        ({"head": part("kasc")}, "model.head"),
        ({"head": part("deeplabv3", separable="no")}, "model.head"),
        ({"head": part("ksac", atrous_rates=(0,))}, "model.head"),
        ({"backbone": part("resnet50", blocks=3)}, "model.backbone"),
        ({"neck": part("joint")}, "model.neck"),
        ({"decoder": part("low_level", separable=1)}, "model.decoder"),
        ({"projection": part("linear", filters=0)}, "model.projection"),
        ({"bottleneck": {"filters": 0}}, "model.bottleneck"),
        ({"auxiliary": {"level": "c6"}}, "model.auxiliary"),
        ({"norm": {"epsilon": float("nan")}}, "model.norm"),
    ),
)
def test_a_part_is_named_by_its_path(changes, path):
    with pytest.raises(ValueError, match=rf"^{path}: "):
        build_model(spec(**changes), 3)


def test_losses_and_optimizers_are_named_by_their_paths():
    with pytest.raises(ValueError, match=r"^losses\[1\]: gamma must be a number"):
        build_objective((part("dice"), part("focal", gamma=-1)), 3)
    with pytest.raises(ValueError, match=r"^stages\[2\].optimizer: momentum must be a number"):
        build_optimizer(part("sgd", momentum=2), 3, stage=2)
    with pytest.raises(ValueError, match=r"^stages\[2\].optimizer: learning_rate must be a number"):
        build_optimizer(part("sgd", learning_rate=0), 3, stage=2)
    with pytest.raises(ValueError, match=r"^stages\[2\].schedule: power must be a number"):
        build_optimizer(part("sgd"), 3, part("poly", power=-1), stage=2)


@pytest.mark.parametrize("value", ("no", 1, None))
def test_what_is_true_or_false_is_nothing_else(value):
    with pytest.raises(ValueError, match=f"nesterov must be True or False, not {value!r}"):
        build_optimizer(part("sgd", nesterov=value), 3)


def test_an_empty_bottleneck_is_the_layer_with_its_defaults():
    model = build_model(spec(head=part("fcn", filters=4), bottleneck={}), 3)
    default = Bottleneck().get_config()
    assert {**model.get_layer("bottleneck_0").get_config(), "name": default["name"]} == {
        **default,
        "norm": model.get_layer("bottleneck_0").get_config()["norm"],
    }


@pytest.mark.parametrize("kind", ("projection", "bottleneck"))
def test_a_head_of_two_branches_needs_two_layers_of_each_kind(kind):
    branched = HEADS["danet"](3, 4, key_filters=2)
    with pytest.raises(ValueError, match=f"the head gives 2 maps of features, and there are 1 {kind}s"):
        segmentation_model(tiny_backbone(), branched, num_classes=3, **{kind: [Bottleneck(4)]})


@pytest.mark.parametrize(
    "misspelt, words",
    (
        (part("class_aware", term=("intra_c2p",)), "'class_aware' takes no 'term'"),
        (part("class_aware", settings={"c2c_treshold": 0.5}), "'c2c_treshold' is not a setting"),
        (part("class_aware", settings={"c2c_threshold": "low"}), r"c2c_threshold must lie in \[0, 1\], not 'low'"),
        (part("focal", gama=2), "'focal' takes no 'gama'"),
    ),
)
def test_a_loss_of_wrong_arguments_is_one_line(misspelt, words):
    with pytest.raises(ValueError, match=words):
        build_objective((misspelt,), 3)


@pytest.mark.parametrize(
    "optimizer, schedule, words",
    (
        (part("sgd", moment=0.9), part("poly"), "'sgd' takes no 'moment'"),
        (part("sgd", momentum="much"), part("poly"), r"momentum must be a number in \[0, 1\), not 'much'"),
        (part("sgd"), part("poly", exponent=1), "'poly' takes no 'exponent'"),
        (part("sgd"), part("poly", power="high"), "'poly' cannot be made of {'power': 'high'}|power must be"),
    ),
)
def test_an_optimizer_or_schedule_of_wrong_arguments_is_one_line(optimizer, schedule, words):
    with pytest.raises(ValueError, match=words):
        build_optimizer(optimizer, 3, schedule)
