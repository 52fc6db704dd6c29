"""The layers inside of keras-hub's networks, built without presets."""

import numpy as np
import pytest

from caa import ChannelizedAxialAttention, ChannelizedSelfAttention
from deeplab_ksac import KSAC
from deeplab_ksac.any_keras import KERAS_3, keras
from tests.keras3.arrays import JAX, random
from tests.keras3.public_layers import GATE, NORM

if not KERAS_3:
    pytest.skip("keras-hub is for Keras 3", allow_module_level=True)
keras_hub = pytest.importorskip("keras_hub")
SIDE, NUM_CLASSES = 64, 5


def resnet():
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8, 8, 8],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )


def with_ksac():
    backbone = resnet()
    context = KSAC(8, (1, 2), norm=NORM)(backbone.pyramid_outputs["P4"])
    return keras.Model(backbone.input, ChannelizedAxialAttention(8, 3, **GATE)(context))


def with_attention_behind_deeplab():
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=resnet(),
        spatial_pyramid_pooling_key="P4",
        upsampling_size=2,
        dilation_rates=[1, 2],
        projection_filters=4,
    )
    return keras.Model(backbone.input, ChannelizedSelfAttention(8, 3, **GATE)(backbone.output))


@pytest.mark.parametrize("build", [with_ksac, with_attention_behind_deeplab])
def test_a_network_with_our_layers_trains_and_comes_back_from_its_file(build, tmp_path):
    network = build()
    model = keras.Model(network.input, keras.layers.Conv2D(NUM_CLASSES, 1)(network.output))
    images = random([2, SIDE, SIDE, 3])
    targets = np.zeros(model.predict(images, verbose=0).shape[:3], "int32")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=JAX)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(images, targets))
    ours = model.layers[-2]
    assert all(np.isfinite(weight).all() for weight in ours.get_weights())
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    if build is with_ksac:
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    else:  # keras-hub 0.32's own pyramid does not come back from its configuration
        model.save_weights(tmp_path / "model.weights.h5")
        network = build()
        loaded = keras.Model(network.input, keras.layers.Conv2D(NUM_CLASSES, 1)(network.output))
        loaded.load_weights(tmp_path / "model.weights.h5")
    found, expected = (one.predict(images, verbose=0) for one in (loaded, model))
    # two graphs, whose threads share out the sums of these wide convolutions anew
    np.testing.assert_allclose(found, expected, rtol=0, atol=64 * 2**-24 * np.abs(expected).max())
