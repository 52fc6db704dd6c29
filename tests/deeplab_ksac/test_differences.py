"""Differences of two configurations, as lines."""

from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import part, to_dict
from tests.deeplab_ksac.training.tiny import EXPERIMENT


def test_differences_are_listed_by_path():
    old, new = to_dict(EXPERIMENT), to_dict(EXPERIMENT)
    new["stages"][0]["steps"] = 9
    new["model"]["neck"] = {"name": "jpu", "args": {}}
    assert differences(old, old) == []
    assert differences(old, new) == [
        "model.neck: None -> {'name': 'jpu', 'args': {}}",
        f"stages[0].steps: {EXPERIMENT.stages[0].steps} -> 9",
    ]


def test_an_argument_that_is_none_differs_from_one_that_has_its_default():
    plain, linear = to_dict(part("resnet50", blocks=3)), to_dict(part("resnet50", blocks=3, epsilon=None))
    assert differences(plain, linear, "head") == ["head.args.epsilon: not given -> None"]
    assert differences(linear, plain, "head") == ["head.args.epsilon: None -> not given"]
    assert differences(plain, to_dict(part("resnet50")), "head") == ["head.args.blocks: 3 -> None"]
