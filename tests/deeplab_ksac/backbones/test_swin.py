"""Swin: attention in windows against its definition, position bias, stochastic depth, arguments."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.backbones.attention_windows import resize_position_bias
from deeplab_ksac.backbones.swin import TIMM, timm_tensors
from deeplab_ksac.backbones.window_attention import PatchMerging, SwinBlock, WindowAttention
from tests.deeplab_ksac.backbones.strided_models import build, load, tiny, write_weights
from tests.literal import swin as literal


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("size", [(8, 4), (5, 7), (3, 2), (1, 9)])
@pytest.mark.parametrize("shift", [0, 2])
def test_attention_is_that_of_every_pixel_to_its_window(size, shift):
    attention = WindowAttention(2, 4, shift=shift)
    features = drawn(2, *size, 6)
    attention(features)
    attention.set_weights([drawn(*weight.shape, seed=i) for i, weight in enumerate(attention.weights)])
    qkv = np.split(attention.qkv(features), 3, axis=-1)
    for image in range(2):
        heads = []
        for head in range(2):
            query, key, value = (x[image, ..., 3 * head : 3 * head + 3].astype("float64") for x in qkv)
            table = attention.position_bias.numpy()[:, head].reshape(7, 7)
            heads.append(literal.window_attention(query, key, value, table, 4, shift))
        expected = np.concatenate(heads, axis=-1) @ attention.projection.kernel + attention.projection.bias
        # float32 rounds at 1.2e-7; sums of 16 terms of size 10, twice
        np.testing.assert_allclose(attention(features)[image], expected, atol=1.2e-7 * 16 * 100)


def test_energies_and_softmax_are_float32_in_mixed_precision():
    attention = WindowAttention(1, 2, dtype="mixed_bfloat16")
    features = tf.constant([[[[1.0, 0.0], [0.0, 1.0]]]])
    attention(features)
    table = np.zeros([9, 1], "float32")
    table[4], table[3] = 8.03, 8.0  # one pixel to itself and to its right neighbor: the same number in bfloat16
    value_only = np.concatenate([np.zeros([2, 4]), np.eye(2)], axis=1)
    attention.set_weights([table, value_only, np.zeros(6), np.eye(2), np.zeros(2)])
    own = 1 / (1 + np.exp(-0.03))
    # the weights themselves are rounded to bfloat16, 2^-9 at one half
    np.testing.assert_allclose(tf.cast(attention(features), tf.float32)[0, 0, 0], [own, 1 - own], atol=2**-9)


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_merging_lays_four_pixels_side_by_side(size):
    merging, features = PatchMerging(), drawn(1, *size, 2)
    merging(features)
    merging.set_weights([drawn(*weight.shape, seed=i) for i, weight in enumerate(merging.weights)])
    padded = np.zeros([6, 8, 2])
    padded[: size[0], : size[1]] = features[0]
    gamma, beta, kernel = merging.get_weights()
    found = merging(features)[0].numpy()
    for y, x in np.ndindex(found.shape[:2]):
        block = padded[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        row = np.concatenate([block[0, 0], block[1, 0], block[0, 1], block[1, 1]])
        normalized = (row - row.mean()) / np.sqrt(row.var() + 1e-5) * gamma + beta
        np.testing.assert_allclose(found[y, x], normalized @ kernel, atol=1e-5)
    assert found.shape == (-(-size[0] // 2), -(-size[1] // 2), 4)


def test_an_image_skips_a_branch_as_a_whole_or_has_it_scaled():
    block, features = SwinBlock(1, 2, drop_path_rate=0.5), drawn(16, 2, 2, 4)
    block(features)
    block.set_weights([drawn(*weight.shape, seed=i) for i, weight in enumerate(block.weights)])
    block.reduce.set_weights([np.zeros_like(weight) for weight in block.reduce.get_weights()])  # attention alone
    attended = (block(features) - features).numpy()
    trained = (block(features, training=True) - features).numpy()
    kept = np.array([np.any(change) for change in trained])
    assert 0 < kept.sum() < 16
    np.testing.assert_allclose(trained, attended * 2 * kept[:, np.newaxis, np.newaxis, np.newaxis], atol=1e-5)


def test_stochastic_depth_grows_linearly_and_every_other_block_is_shifted():
    blocks = [layer for layer in tiny("swin").layers if isinstance(layer, SwinBlock)]
    np.testing.assert_allclose([block.drop_path_rate for block in blocks], np.linspace(0, 0.3, 7))
    assert [block.attention.shift for block in blocks] == [0, 2, 0, 0, 2, 0, 1]


def test_tables_for_another_window_are_resized_and_tables_that_follow_from_it_left_out(tmp_path):
    name = "layers.2.blocks.1.attn"
    table = drawn(13**2, 2)
    changes = {
        f"{name}.relative_position_bias_table": table,
        f"{name}.relative_position_index": np.zeros([49, 49], "int64"),
        "layers.2.blocks.1.attn_mask": np.zeros([4, 49, 49], "float32"),
    }
    model = tiny("swin")
    path = write_weights("swin", tmp_path / "w.safetensors", **changes)
    before = model.get_weights()
    load(model, "swin", path)
    loaded = model.get_layer("layers.2.blocks.1").attention.position_bias.numpy()
    model.set_weights(before)
    np.testing.assert_array_equal(loaded, resize_position_bias(table, 4))
    assert {ending for ending in TIMM.ignored if ending.startswith(".")} == {".relative_position_index", ".attn_mask"}


def test_every_weight_of_the_network_has_its_tensor():
    model = tiny("swin")
    variables = [variable.ref() for _, variable, _ in timm_tensors(model)]
    assert len(variables) == len(set(variables)) == len(model.weights)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"edge": "mirror"}, "edge must be one of pad, cut, not 'mirror'"),
        ({"depths": (1, 1, 1)}, r"depths \(1, 1, 1\), heads .* must be of four stages"),
        ({"window_size": (7, 7)}, r"window sizes \(7, 7\) must be of four stages"),
        ({"window_size": 0}, "a window of 0 pixels cannot be shifted by 0"),
        ({"heads": (3, 2, 2, 4)}, "8 channels cannot be shared by 3 heads"),
    ],
)
def test_wrong_arguments_are_refused_with_their_values(changes, message):
    with pytest.raises(ValueError, match=message):
        build("swin", **changes)
