"""The settings and their presets."""

import dataclasses

import pytest

from car import ClassAwareSettings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c2c_threshold": 1.5}, r"c2c_threshold must lie in \[0, 1\], not 1.5"),
        ({"c2p_threshold": -0.1}, r"c2p_threshold must lie in \[0, 1\], not -0.1"),
        ({"reduction": "mean"}, "reduction must be 'mean_of_squares' or 'square_of_mean', not 'mean'"),
        ({"averaged_over": "batch"}, "averaged_over must be 'global_batch' or 'replica', not 'batch'"),
        ({"own_similarity": "kept"}, "own_similarity must be 'replaced' or 'added', not 'kept'"),
        ({"ignored_pixels": "kept"}, "ignored_pixels must be 'excluded' or 'counted', not 'kept'"),
        ({"fixed_centers": ("c2c",)}, "fixed_centers names terms, .* not 'c2c'"),
        ({"intra_floor": -1.0}, "intra_floor must be at least 0, not -1.0"),
        ({"inter_margin": 0.5}, r"inter_margin must lie in \[0, 0.5\), not 0.5"),
    ],
)
def test_wrong_settings_are_refused_with_their_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassAwareSettings(**arguments)


@pytest.mark.parametrize("value", (float("nan"), float("inf"), "0.1", None, True, -0.5))
@pytest.mark.parametrize("name", ("c2c_threshold", "c2p_threshold", "intra_floor", "inter_margin"))
def test_a_setting_that_is_no_number_in_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must .*, not {value!r}"):
        ClassAwareSettings(**{name: value})


@pytest.mark.parametrize("value", ("inter_c2c", None, 3))
def test_fixed_centers_are_several_terms(value):
    with pytest.raises(ValueError, match=f"fixed_centers must be a tuple of terms, not {value!r}"):
        ClassAwareSettings(fixed_centers=value)


@pytest.mark.parametrize("value", (3, [], ("thesis",), True))
def test_settings_of_another_type_are_refused(value):
    with pytest.raises(ValueError, match="settings must be a ClassAwareSettings, a mapping, 'thesis' or 'author', not"):
        ClassAwareSettings.of(value)


def test_the_thresholds_are_those_of_section_4_4_1():
    for settings in (ClassAwareSettings(), ClassAwareSettings.thesis(), ClassAwareSettings.author()):
        assert (settings.c2c_threshold, settings.c2p_threshold) == (0.5, 0.25)


def test_the_presets_are_what_section_4_3_and_the_authors_code_say():
    """Section 4.3: no 1/√C in Eq. 4.8, a sum in Eq. 4.10, gradients by both factors, and no exception for ignored
    pixels in Eq. 4.8–4.14. The author's code: BUILD_NOTES.md, CAR."""
    thesis = {"scaled_c2p": False, "own_similarity": "added", "fixed_centers": (), "ignored_pixels": "counted"}
    author = {"reduction": "square_of_mean", "averaged_over": "replica", "ignored_pixels": "counted"}
    author |= {"intra_floor": 1e-5, "inter_margin": 1e-7}
    plain = {"reduction": "mean_of_squares", "averaged_over": "global_batch", "intra_floor": 0.0, "inter_margin": 0.0}
    fixed = {"scaled_c2p": True, "own_similarity": "replaced", "fixed_centers": ("intra_c2p", "inter_c2c", "inter_c2p")}
    thresholds = {"c2c_threshold": 0.5, "c2p_threshold": 0.25}
    for settings, expected in (
        (ClassAwareSettings(), {**plain, **fixed, "ignored_pixels": "excluded"}),
        (ClassAwareSettings.thesis(), {**plain, **thesis}),
        (ClassAwareSettings.author(), {**fixed, **author}),
    ):
        assert dataclasses.asdict(settings) == {**thresholds, **expected}


def test_settings_come_from_names_mappings_and_themselves():
    assert ClassAwareSettings.of(None) == ClassAwareSettings()
    assert ClassAwareSettings.of("thesis") == ClassAwareSettings.thesis()
    assert ClassAwareSettings.of({"fixed_centers": ["inter_c2c"]}) == ClassAwareSettings(fixed_centers=("inter_c2c",))
    author = ClassAwareSettings.author()
    assert ClassAwareSettings.of(author) is author
    with pytest.raises(ValueError, match="'thesis' or 'author', not 'paper'"):
        ClassAwareSettings.of("paper")
    with pytest.raises(ValueError, match="'threshold' is not a setting; the settings are c2c_threshold, "):
        ClassAwareSettings.of({"threshold": 0.5})
