"""What the comparisons with other toolkits stand on: the same work on both sides, and processes that answer."""

import dataclasses
import sys

import pytest
import tensorflow as tf

from deeplab_ksac.datasets import encoding, records
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import peer_input, peer_process, peers
from deeplab_ksac.zero_weights import zero_weights
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known

NETWORK = {"backbone": [7, 70], "classifier": [3, 30]}


def test_two_networks_of_the_same_weights_and_products_are_compared():
    peers.require_same(NETWORK, NETWORK, "smp")


@pytest.mark.parametrize("other", ([8, 70], [7, 71]))
def test_other_work_is_refused_in_words(other):
    with pytest.raises(ValueError, match=r"the backbone of ours has 7 weights and 70 multiply-adds, that of smp "):
        peers.require_same(NETWORK, {**NETWORK, "backbone": other}, "smp")


def test_a_network_is_counted_in_the_parts_that_the_peers_have():
    spec = dataclasses.replace(peers.published("resnet50", "ASPP"), backbone=TINY_BACKBONE)
    with tiny_backbone_known(), zero_weights():
        model = build_model(spec, peers.NUM_CLASSES)
    found = peers.counts(model, (64, 96))
    at_16, at_4 = 4 * 6, 16 * 24
    pyramid = 4 * 256 * (1 + at_16) + 3 * at_16 * (9 * 4 + 4 * 256) + at_16 * 5 * 256 * 256
    decoder = at_4 * (4 * 48 + 9 * 304 + 304 * 256 + 9 * 256 + 256 * 256)
    assert found["context and decoder"][1] == pyramid + decoder
    assert found["classifier"] == [256 * 21 + 21, at_4 * 256 * 21]


def test_a_process_greets_and_says_what_a_turn_took():
    turns = "input(); print('done', flush=True); input(); print(0.25, flush=True); input()"
    program = f"import sys; print('hello', sys.argv[1], flush=True); {turns}"
    greetings = []
    run = peer_process.prepare_process(program, [3], "it", python=sys.executable, greeted=greetings.append)
    assert greetings == ["hello 3"] and run() is None and run() == 0.25
    with pytest.raises(OSError, match="it ended with status 0"):
        run()


@pytest.mark.parametrize("packages, there", ((("json", "csv"), True), (("json", "no_such_package"), False)))
def test_packages_are_looked_for_in_the_interpreter_for_pytorch(packages, there, monkeypatch):
    monkeypatch.setenv("KSAC_TORCH_PYTHON", sys.executable)
    assert peer_process.torch_has.__wrapped__(*packages) is there


def test_pytorchs_side_has_the_pictures_as_they_are_stored():
    data_dir = peer_input.large_pngs(2, (32, 48))
    folder = peer_input.as_files(data_dir, peer_input.GENERATED)
    files, _ = records.shard_files(*peer_input.GENERATED.split("/"), data_dir)
    stored = [encoding.parse_example(serialized) for serialized in tf.data.TFRecordDataset(files)]
    images, labels = (sorted((folder / kind).iterdir()) for kind in ("images", "labels"))
    assert [path.read_bytes() for path in images] == [parsed["encoded"].numpy() for parsed in stored]
    assert [path.read_bytes() for path in labels] == [parsed["labels_encoded"].numpy() for parsed in stored]
    assert [path.stem for path in images] == [path.stem for path in labels]


@pytest.mark.skipif(not peer_process.torch_has("segmentation_models_pytorch"), reason="needs its interpreter")
@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize(
    "network, form, ours",
    (
        ("mobilenet_v2", "published", peers.published("mobilenet_v2", "ASPP")),
        ("efficientnet_b0", "published", peers.published("efficientnet_b0", "ASPP")),
        ("resnet50", "torchvision", peers.like_torchvision("resnet50", "deeplabv3")),
    ),
    ids=("mobilenet_v2", "efficientnet_b0", "torchvision"),
)
def test_the_peers_network_is_ours(network, form, ours, training):
    told = []
    peers.prepare_torch("theirs", network, form, training, told, same=ours)()
    assert told[0].startswith("theirs, N")
