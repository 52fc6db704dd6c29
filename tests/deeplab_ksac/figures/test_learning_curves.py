"""Learning curves as SVG: what stands where, found in its elements."""

import re
from xml.etree import ElementTree

import pytest

from deeplab_ksac.figures.learning_curves import COLORS, svg

SVG = "{http://www.w3.org/2000/svg}"
LOSS, MIOU = ((step, 2 - step / 100) for step in range(0, 101, 2)), ((50, 0.25), (100, 0.5))
CURVES = {"train/loss": tuple(LOSS), "eval/miou": MIOU}


def texts(text):
    """{text: (horizontal place, its style)}"""
    return {
        element.text: (float(element.get("x")), element.get("style"))
        for element in ElementTree.fromstring(text).iter(f"{SVG}text")
    }


def test_the_same_curves_are_the_same_text_without_a_date():
    assert svg(CURVES, steps=100) == svg(CURVES, steps=100)
    assert "date" not in svg(CURVES, steps=100)


def test_the_loss_has_the_left_axis_and_the_miou_the_right_one():
    found = texts(svg(CURVES, steps=100))
    assert found["loss"][0] < found["steps"][0] < found["mIoU"][0]
    assert "var(--loss, #3b6fb6)" in found["loss"][1] and "var(--miou, #c2571a)" in found["mIoU"][1]
    assert "100" in found and "1.0" in found


@pytest.mark.parametrize(("quantity", "other"), (("train/loss", "mIoU"), ("eval/miou", "loss")))
def test_an_axis_without_a_curve_is_not_shown(quantity, other):
    text = svg({quantity: CURVES[quantity]}, steps=100)
    assert other not in texts(text)
    assert all((color in text) == (name == quantity) for name, color in COLORS.items())


def test_few_points_are_shown_each_and_nothing_is_a_link():
    def circles(curves):
        return len(re.findall(r"fill: var\(--miou, #c2571a\); stroke", svg(curves, steps=100)))

    assert circles({"eval/miou": MIOU[:1]}) == 1 and circles({"eval/miou": MIOU}) == 2
    assert circles({"eval/miou": tuple((step, 0.5) for step in range(100))}) == 0
    assert "href" not in svg(CURVES, steps=100)


def test_a_long_curve_takes_no_more_room_than_a_shorter_one():
    short, long = (
        len(svg({"train/loss": tuple((step, step * 7919 % 100) for step in range(count))}, steps=count))
        for count in (10_000, 100_000)
    )
    assert long < 1.1 * short < 100_000


def test_the_title_is_a_text_whatever_it_holds():
    root = ElementTree.fromstring(svg(CURVES, steps=100, title="<runs> & 'more'"))
    assert root.find(f"{SVG}title").text == "<runs> & 'more'"
