"""The values of the commands' flags: what they become, and what is said of wrong ones."""

import pytest

from deeplab_ksac.scripts import (
    backbones,
    benchmark,
    cache_features,
    convert,
    evaluate,
    export,
    flops,
    formats,
    inspect_data,
    ksac,
    paired_study,
    predict,
    report,
    run_page,
    save,
    scale,
    segment,
    select_pictures,
    study,
    submit,
    train,
    visualize,
)
from tests.scripts.parsing import command_line

REQUIRED = {  # what a command cannot do without, beside the flag under test
    backbones: (),
    benchmark: (),
    cache_features: ("--config=scenes_ksac", "--data_dir=x", "--name=x"),
    convert: ("--dataset=scenes", "--raw_dir=x"),
    evaluate: ("--workdir=x", "--data_dir=x"),
    export: ("--workdir=x", "--output=x"),
    flops: (),
    formats: ("--results=x",),
    inspect_data: (),
    paired_study: ("--study=ksac", "--data_dir=x", "--workdir=x"),
    predict: ("--workdir=x", "--images=x", "--output_dir=x"),
    report: ("--output=x",),
    run_page: ("--workdir=x",),
    save: ("--workdir=x", "--output=x"),
    scale: ("--config=scenes_ksac",),
    segment: ("--url=x", "--output_dir=x"),
    select_pictures: ("--name=x",),
    study: ("--workdir=x",),
    submit: ("--workdir=x", "--benchmark=voc2012", "--raw_dir=x", "--output=x.zip"),
    train: ("--config=scenes_ksac", "--workdir=x", "--data_dir=x"),
    visualize: ("--workdir=x",),
}
WHOLE = {  # flags for one whole number: command -> {flag: least}
    benchmark: {"rounds": 1, "processes": 0},
    cache_features: {"views": 1, "stage": 0, "batch_size": 1},
    convert: {"processes": 1, "seed": 0, "split_seed": 0},
    evaluate: {"batch_size": 1, "sheet": 0},
    export: {"count": 1, "evaluate": 0},
    flops: {"num_classes": 1, "chapter": 2},
    inspect_data: {"samples": 0},
    paired_study: {"steps": 1},
    predict: {"batch_size": 1, "max_pixels": 1024},
    scale: {"batch_size": 1, "stage": 0, "num_classes": 1, "per_node": 1},
    segment: {"concurrency": 1},
    study: {"jobs": 1, "steps": 1},
    train: {"cpu_replicas": 1},
    visualize: {"count": 1, "channels": 1},
}
REAL = {
    convert: ("val_share",),
    evaluate: ("boundary", "timeout", "interval"),
    predict: ("opacity",),
    segment: ("opacity",),
}
VIEWED = (evaluate, predict, save, submit)
NO_WHOLE = ("", "²", "٣", "1.0", "1e3", "0x10", "1_000", "many", "-1", "nan", "99999999999999999999", "1,2")
NO_REAL = ("", "nan", "-1", "-inf", "much", "1_0", "٣", "0.5.5", "1e400")
NO_SIDES = ("", "0", "5x", "3x4x5", "big", "-3", "²", "5,5", "65536", "9" * 5000)
NO_SCALES = ("", "0", "-1", "inf", "nan", "1e9", "1e-9", "1;2", "1,,2", "1,", "½")


def value_of(module, flag, text):
    with command_line(module, *REQUIRED[module], f"--{flag}={text}") as given:
        return given[flag].value


def assert_refused(module, flag, text, allowed):
    with pytest.raises(SystemExit) as ended:
        value_of(module, flag, text)
    name = module.__name__.rpartition(".")[2]
    assert ended.value.code == f"{name}: --{flag} must be {allowed}, not {text!r}"


def test_these_are_all_commands():
    assert sorted(module.__name__.rpartition(".")[2] for module in REQUIRED) == sorted(ksac.COMMANDS)


@pytest.mark.parametrize(("module", "flag"), [(module, flag) for module in WHOLE for flag in WHOLE[module]])
def test_a_whole_number_is_one_and_in_its_range(module, flag):
    least = WHOLE[module][flag]
    assert value_of(module, flag, str(least)) == least
    most = {"concurrency": 256, "cpu_replicas": 64, "chapter": 4, "num_classes": 65_535, "jobs": 1024}.get(
        flag, 2**31 - 1
    )
    most = 1024 if (module, flag) == (convert, "processes") else most
    for text in (*NO_WHOLE, str(least - 1), str(most + 1)):
        assert_refused(module, flag, text, f"a whole number from {least} to {most}")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--quantize",), "dynamic_range"),
        (("--quantize", "--quantize=int8"), "int8"),
        (("--quantize=float16", "--noquantize"), None),
        ((), None),
    ],
)
def test_a_rounding_is_a_word_or_the_flag_alone(words, value):
    with command_line(export, *REQUIRED[export], *words) as given:
        assert given["quantize"].value == value
    assert_refused(export, "quantize", "int4", "one of dynamic_range, float16, int8")


@pytest.mark.parametrize("module", (evaluate, export, predict, save, submit, visualize))
def test_a_checkpoint_is_a_step_or_one_of_two_words(module):
    for text, value in (("newest", "newest"), ("best", "best"), ("0", 0), ("2147483647", 2**31 - 1)):
        assert value_of(module, "checkpoint", text) == value
    for text in (*NO_WHOLE, "2147483648", "bset", "Best"):
        assert_refused(module, "checkpoint", text, "newest, best or a whole number from 0 to 2147483647")


@pytest.mark.parametrize(("module", "flag"), [(module, flag) for module in REAL for flag in REAL[module]])
def test_a_number_is_one_and_in_its_interval(module, flag):
    intervals = {"boundary": "(0, inf)", "timeout": "[0, inf]", "interval": "[0.01, 86400]", "opacity": "[0, 1]"}
    interval = {**intervals, "val_share": "(0, 1)"}[flag]
    assert value_of(module, flag, "0.5") == 0.5
    for text in NO_REAL if flag != "timeout" else NO_REAL[:-1]:
        assert_refused(module, flag, text, f"a number in {interval}")


@pytest.mark.parametrize("module", VIEWED)
@pytest.mark.parametrize("flag", ("window", "pad_to"))
def test_sides_of_a_picture_are_pixels(module, flag):
    assert value_of(module, flag, "513") == (513, 513)
    assert value_of(module, flag, "1025x2049") == (1025, 2049)
    assert value_of(module, flag, "none") == "none"
    for text in NO_SIDES:
        assert_refused(module, flag, text, "pixels up to 65535, such as 513 or 1025x2049, or none")


@pytest.mark.parametrize("module", (*VIEWED, export))
def test_scales_are_numbers_of_a_sensible_size(module):
    assert value_of(module, "scales", "0.5, 1,1.25") == (0.5, 1.0, 1.25)
    for text in NO_SCALES:
        assert_refused(module, "scales", text, "numbers in [0.01, 100], separated by commas, such as 0.5,1")


@pytest.mark.parametrize(
    ("module", "flag", "taken", "allowed", "wrong"),
    (
        (
            flops,
            "size",
            {"513": (513, 513), "513,1025": (513, 1025)},
            "one or two numbers of pixels up to 65535, such as 513 or 513,1025",
            ("0", "?,5", "1,2,3", "", "-1", "5,0", "65536"),
        ),
        (
            convert,
            "scenes_size",
            {"161,193": (161, 193)},
            "height,width in pixels up to 65535, such as 161,193",
            ("5", "a,b", "0,0", "²,5", "5,5,5", "", "-1,5", "1000000000,5"),
        ),
        (
            convert,
            "scenes_counts",
            {"train=3": {"train": 3}, "train=1000, val=200": {"train": 1000, "val": 200}},
            "split=number, comma-separated, each from 1 to 2147483647",
            ("train", "train=", "=3", "train=0", "train=²", "train=-1", "train=1,train=2", "", "train=1,"),
        ),
        (
            convert,
            "label_map",
            {"255:1,0:0": {255: 1, 0: 0}, "7:255": {7: 255}},
            "value:label, comma-separated, no value twice, such as 255:1,0:0",
            ("1", "1:", ":1", "1:2:3", "1:1,1:2", "", "²:1", "-1:0", "0:256", "65536:0", "1:1,", "1=1"),
        ),
        (
            study,
            "seeds",
            {"0,1": (0, 1), "4294967295": (4294967295,)},
            "whole numbers from 0 to 4294967295, comma-separated",
            ("0,x", "-1", "", "1.5", "²", "4294967296", "1,"),
        ),
        (
            export,
            "warmup",
            {"513": ((513, 513),), "513,1025x2049": ((513, 513), (1025, 2049))},
            "pixels up to 65535, such as 513 or 513,1025x2049",
            ("", "0", "5x", "3x4x5", "5,", "none", "-3", "65536"),
        ),
        (
            visualize,
            "point",
            {"4,0": (4, 0)},
            "2 whole numbers from 0 to 2147483647, comma-separated",
            ("4", "1,x", "-1,2", "1,2,3", "", "1,²"),
        ),
        (
            visualize,
            "box",
            {"1,2,3,4": (1, 2, 3, 4)},
            "4 whole numbers from 0 to 2147483647, comma-separated",
            ("1,2,x,4", "1,2,3", "1,2,-3,4"),
        ),
    ),
)
def test_a_list_is_as_it_should_be(module, flag, taken, allowed, wrong):
    for text, value in taken.items():
        assert value_of(module, flag, text) == value
    for text in wrong:
        assert_refused(module, flag, text, allowed)


@pytest.mark.parametrize("module", REQUIRED)
def test_defaults_are_values_that_the_flags_take(module):
    with command_line(module, *REQUIRED[module]) as given:
        texts = {
            name: given[name].default_as_str.strip("'")
            for name in given
            if type(given[name].parser).__name__ == "_Parser" and given[name].default is not None
        }
        values = {name: given[name].value for name in texts}
    for name, text in texts.items():
        plain = text if not text.startswith("(") else ",".join(map(str, values[name]))
        assert value_of(module, name, plain) == values[name]


@pytest.mark.parametrize(
    ("words", "said"),
    (
        (("--wokdir=x",), "evaluate: Unknown command line flag 'wokdir'. Did you mean: workdir ?"),
        (("--workdir=x", "--data_dir=y", "--noflip=3"), "evaluate: --noflip=3 does not take an argument"),
        (("--data_dir=y",), "evaluate: --workdir or --model must have a value; "),
        (("--workdir=x", "--data_dir=y", "--flagfile=nowhere"), "evaluate: ERROR:: Unable to open flagfile: "),
        (("--workdir=x", "--data_dir=y", "--checkpoint"), "evaluate: Missing value for flag --checkpoint"),
        (("--workdir=x", "--data_dir=y", "--average=votes"), "evaluate: --average value should be one of <logits|"),
    ),
)
def test_a_command_line_that_cannot_be_read_is_one_line(words, said):
    with pytest.raises(SystemExit) as ended, command_line(evaluate, *words):
        pass
    assert ended.value.code.startswith(said) and "\n" not in ended.value.code
