"""The loader of safetensors files: layouts, and what it says of files that do not fit."""

import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.weights import load_timm, norm_tensors

KERNEL, DEPTHWISE = (4, 3, 2, 5), (4, 1, 5, 2)  # OIHW, C1HW


@pytest.fixture
def model():
    image = keras.Input([None, None, 3])
    x = keras.layers.Conv2D(4, (2, 5), use_bias=False, name="conv")(image)
    x = keras.layers.DepthwiseConv2D((5, 2), use_bias=False, name="depthwise")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(image, keras.layers.Dense(6, name="dense")(x), name="small")


def tensors_of(model):
    layer = model.get_layer
    return [
        ("stem.weight", layer("conv").kernel, "conv"),
        ("dw.weight", layer("depthwise").depthwise_kernel, "depthwise"),
        *norm_tensors(layer("norm"), "bn"),
        ("proj.weight", layer("dense").kernel, "dense"),
        ("proj.bias", layer("dense").bias, lambda bias: bias[::-1]),
    ]


def file_tensors(**changes):
    rng = np.random.default_rng(0)
    shapes = {"stem.weight": KERNEL, "dw.weight": DEPTHWISE, "proj.weight": (6, 4), "proj.bias": (6,)}
    shapes |= {f"bn.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")}
    tensors = {name: rng.uniform(0.5, 1, shape).astype("float32") for name, shape in shapes.items()}
    tensors["bn.num_batches_tracked"] = np.array(7)
    tensors["head.fc.weight"] = np.ones([10, 6], "float32")
    tensors |= changes
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def write(tmp_path, tensors):
    path = str(tmp_path / "weights.safetensors")
    safetensors.numpy.save_file(tensors, path)
    return path


def test_every_tensor_comes_into_its_variable_in_tensorflows_order(model, tmp_path):
    tensors = file_tensors()
    load_timm(model, write(tmp_path, tensors), tensors_of(model))
    kernel, depthwise = model.get_layer("conv").kernel.numpy(), model.get_layer("depthwise").depthwise_kernel.numpy()
    for out, channel, row, column in np.ndindex(KERNEL):
        assert kernel[row, column, channel, out] == tensors["stem.weight"][out, channel, row, column]
    for channel, _, row, column in np.ndindex(DEPTHWISE):
        assert depthwise[row, column, channel, 0] == tensors["dw.weight"][channel, 0, row, column]
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    for found, name in ((gamma, "weight"), (beta, "bias"), (mean, "running_mean"), (variance, "running_var")):
        np.testing.assert_array_equal(found, tensors[f"bn.{name}"])
    x = np.random.default_rng(1).normal(size=[3, 4]).astype("float32")
    expected = x @ tensors["proj.weight"].T + tensors["proj.bias"][::-1]
    np.testing.assert_allclose(model.get_layer("dense")(x), expected, rtol=1e-5)


def test_half_precision_files_are_read(model, tmp_path):
    tensors = {name: tensor.astype("float16") for name, tensor in file_tensors().items()}
    load_timm(model, write(tmp_path, tensors), tensors_of(model))
    assert model.get_layer("norm").gamma.dtype == "float32"
    np.testing.assert_array_equal(model.get_layer("norm").gamma, tensors["bn.weight"])


def test_one_error_lists_everything_that_does_not_fit_and_nothing_is_changed(model, tmp_path):
    path = write(
        tmp_path,
        file_tensors(
            **{"dw.weight": None, "bn.bias": np.ones(5, "float32"), "proj.weight": np.ones([6, 4, 1, 1], "float32")},
            **{"block.extra": np.ones(1, "float32"), "bn.running_mean": None},
        ),
    )
    before = model.get_weights()
    with pytest.raises(ValueError) as refusal:
        load_timm(model, path, tensors_of(model))
    message = str(refusal.value)
    assert message.startswith(f"{path} holds the weights of a network other than small; ")
    assert "missing: dw.weight, bn.running_mean; " in message
    assert (
        "bn.bias [5] for norm/beta:0 [4]" in message and "proj.weight [6, 4, 1, 1] for dense/kernel:0 [4, 6]" in message
    )
    assert message.endswith("unused: block.extra") and "\n" not in message
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind, size", (("F8_E4M3", 1), ("F8_E5M2", 1), ("I64", 8), ("BOOL", 1), ("C64", 8)))
def test_a_tensor_that_is_no_float_is_named_and_nothing_is_changed(model, tmp_path, kind, size):
    path = write(tmp_path, file_tensors(**{"proj.bias": None}))
    raw = pathlib.Path(path).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    end = len(raw) - 8 - length
    header["proj.bias"] = {"dtype": kind, "shape": [6], "data_offsets": [end, end + 6 * size]}
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :] + bytes(6 * size))
    before = model.get_weights()
    with pytest.raises(ValueError) as refused:
        load_timm(model, path, tensors_of(model))
    assert str(refused.value) == f"{path} cannot be used; not of F16, BF16, F32, F64: proj.bias {kind}"
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "value", (np.full(4, np.nan, "float32"), np.array([0, 1, 2, -np.inf], "float16"), np.full(4, 1e300))
)
def test_a_tensor_that_is_not_finite_in_the_network_is_named(model, tmp_path, value):
    path = write(tmp_path, file_tensors(**{"bn.bias": value}))
    with pytest.raises(ValueError, match=r"cannot be used; NaN or infinite: bn\.bias$"):
        load_timm(model, path, tensors_of(model))


@pytest.mark.parametrize("kept", (0, 4, 60, -1))
def test_a_file_that_was_cut_is_named(model, tmp_path, kept):
    path = write(tmp_path, file_tensors())
    whole = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(whole[:kept])
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a safetensors file"):
        load_timm(model, path, tensors_of(model))


def test_what_is_ignored_is_named_by_beginning_or_ending(model, tmp_path):
    extra = {"aux.weight": np.ones(1, "float32"), "block.attn_mask": np.ones(1, "float32")}
    path = write(tmp_path, file_tensors(**extra))
    load_timm(model, path, tensors_of(model), ignored=("head.", "aux.", ".attn_mask"))
    with pytest.raises(
        ValueError, match=r"unused: aux\.weight, block\.attn_mask, head\.fc\.weight$|unused: .*head\.fc"
    ):
        load_timm(model, path, tensors_of(model), ignored=())


def test_weights_of_images_with_other_channels_are_refused_in_words(model, tmp_path):
    path = write(tmp_path, file_tensors(**{"stem.weight": np.ones([4, 1, 2, 5], "float32")}))
    with pytest.raises(ValueError, match=r"was trained on images of 1 channel\(s\); small takes images of 3"):
        load_timm(model, path, tensors_of(model))


def test_a_missing_file_and_one_of_another_kind_are_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weight file at .*nowhere\.safetensors"):
        load_timm(model, str(tmp_path / "nowhere.safetensors"), tensors_of(model))
    (tmp_path / "page.safetensors").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"page\.safetensors is not a safetensors file"):
        load_timm(model, str(tmp_path / "page.safetensors"), tensors_of(model))
