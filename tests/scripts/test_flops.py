"""The script that counts, and what it refuses."""

import subprocess
import sys

import pytest
import tensorflow as tf

from deeplab_ksac.scripts import flops
from tests.places import ROOT
from tests.scripts.parsing import flags_of


def test_an_experiments_parts_are_listed(capsys):
    assert flops.run(flags_of(flops, config="scenes_ksac", size=(33, 65))) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("scenes_ksac, 33x65, ") and "in the convention of the thesis's chapter 2:" in printed
    rows = {line.split()[0]: line.split()[1] for line in printed.splitlines()[2:] if line.endswith(" G")}
    numbers = {part: int(count.replace(",", "")) for part, count in rows.items() if count[0].isdigit()}
    assert numbers.pop("all") == sum(numbers.values()) and {"backbone", "head", "decoder"} <= set(numbers)


@pytest.mark.parametrize(
    "flags, words",
    (
        ({}, "give one of --config, --saved_model and --tables, not none"),
        ({"tables": ["2.1"], "saved_model": "x"}, "not saved_model and tables"),
        ({"tables": ["2.1"], "chapter": 3}, "--tables has no use for --chapter; leave it out"),
        ({"tables": ["4.4"], "training": True}, "--tables has no use for --training; leave it out"),
        ({"saved_model": "x", "num_classes": 5}, "--saved_model has no use for --num_classes; leave it out"),
        ({"tables": ["4.5"]}, "Table 4.5 has no FLOPs; only 2.1, 3.1, 3.4, 4.4 have"),
    ),
)
def test_a_wrong_request_is_refused_in_words(flags, words):
    with pytest.raises(ValueError) as refused:
        flops.run(flags_of(flops, **flags))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "override, words",
    (
        ("--config.stages[0].stepps=3", 'Did you mean "steps"'),
        ("--config.seed=many", "seed"),
    ),
)
def test_a_wrong_override_is_said_in_words(override, words):
    command = [sys.executable, str(ROOT / "scripts/flops.py"), "--config=table_4_1:R8", override]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and words in done.stderr + done.stdout and "Traceback" not in done.stderr


def test_a_saved_model_is_listed_by_its_path(tmp_path, capsys):
    served = tf.Module()
    kernel = tf.Variable(tf.zeros([3, 3, 3, 4]), name="head/kernel")
    served.kernel = kernel
    serve = tf.function(lambda image: {"logits": tf.nn.conv2d(image, kernel, 1, "SAME", name="head/conv")})
    image = tf.TensorSpec([None, None, None, 3], name="image")
    tf.saved_model.save(served, str(tmp_path), signatures=serve.get_concrete_function(image))
    assert flops.run(flags_of(flops, saved_model=str(tmp_path), size=(64, 128))) == 0
    title, _, head, total = capsys.readouterr().out.splitlines()
    assert title == f"{tmp_path}, 64x128"
    giga = f"{64 * 128 * 9 * 3 * 4 / 2**30:.4f}"
    assert head.split() == ["head", "108", giga, "G"] and total.split() == ["all", "108", giga, "G"]
