"""How costs grow, as SVG: what stands in it, found in its elements."""

from xml.etree import ElementTree

from deeplab_ksac.figures.power_laws import PowerLaw, svg

SVG = "{http://www.w3.org/2000/svg}"
NARROW = PowerLaw("shared", (1, 2, 4, 8), (3.0, 3.1, 3.3, 3.9), 0.12, 0)
WIDE = PowerLaw("attention", (1_000, 10_000, 10_000_000), (0.5, 6.0, 7000.0), 1.04, 1)


def texts(*laws):
    root = ElementTree.fromstring(svg({"rates": laws}))
    return [element.text for element in root.iter(f"{SVG}text")]


def test_the_same_numbers_are_the_same_text_without_a_date():
    panels = {"rates": [NARROW], "pixels": [WIDE]}
    assert svg(panels, title="growth") == svg(panels, title="growth")
    assert "date" not in svg(panels) and "<title>growth</title>" in svg(panels, title="growth")


def test_each_curve_is_named_with_both_exponents():
    assert {"shared: 0.12 (0)", "attention: 1.04 (1)"} <= set(texts(NARROW, WIDE))


def test_a_narrow_axis_has_marks_between_powers_of_ten_and_a_wide_one_has_not():
    found = texts(NARROW)
    assert found.count("1") == 2 and found.count("2") == 2 and "5" in found  # rates, and times the first
    found = texts(WIDE)
    assert {"1,000", "10,000", "1e+06"} <= set(found) and not {"2,000", "5,000", "2", "5"} & set(found)
