"""The splits of the studies: what is unseen in training is unseen there."""

import numpy as np
import pytest
from scipy import ndimage

from deeplab_ksac.datasets.info import IGNORE_LABEL
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.datasets.sources.scenes_studies import STUDIES, USUAL_GROUNDS

PICTURES = 12


def labels_of(study, split):
    """Label maps [PICTURES, 97, 129] of a split's rules."""
    rules = STUDIES[study][split]
    return np.stack(
        [scenes.picture(np.random.default_rng([5, i]), size=(97, 129), rules=rules)[1] for i in range(PICTURES)]
    )


def grounds_under(labels, thing):
    """Names of the grounds found right below the lowest row of each connected region of a thing."""
    found = set()
    regions, number = ndimage.label(labels == scenes.LABEL[thing])
    for region in range(1, number + 1):
        rows, columns = np.nonzero(regions == region)
        bottom = rows.max()
        below = labels[bottom + 1 : bottom + 5, columns[rows == bottom]]
        found |= {scenes.INFO.class_names[label] for label in np.unique(below) if label != IGNORE_LABEL}
    return found & {"grass", "sand", "road", "water"}


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_trains_on_what_its_seen_split_shows(study):
    assert STUDIES[study]["train"] == STUDIES[study]["seen"]


@pytest.mark.parametrize("thing", USUAL_GROUNDS)
def test_no_combination_of_the_unseen_split_is_in_training(thing):
    rules = STUDIES["combinations"]
    assert not set(rules["train"][thing].grounds) & set(rules["unseen"][thing].grounds)
    assert set(rules["unseen"]) == set(rules["train"]) == set(scenes.THINGS)


def test_cars_of_the_unseen_split_stand_where_none_stood_in_training():
    seen = [grounds_under(labels, "car") for labels in labels_of("combinations", "train")]
    unseen = [grounds_under(labels, "car") for labels in labels_of("combinations", "unseen")]
    assert "road" in set().union(*seen)
    assert set().union(*unseen) & {"grass", "sand", "water"}


def test_people_are_as_high_as_their_split_says():
    """Medians of the highest person of each picture; half of the factor is left for hidden and cut-off parts."""

    def height(split):
        rules = {"person": STUDIES["scales"][split]["person"]}
        pictures = (scenes.picture(np.random.default_rng([5, i]), size=(97, 129), rules=rules)[1] for i in range(24))
        found = [labels == scenes.LABEL["person"] for labels in pictures]
        return np.median([_highest_region(mask) for mask in found if mask.any()])

    smaller, seen, larger = map(height, ("smaller", "seen", "larger"))
    assert larger > 1.5 * seen
    assert smaller < seen / 1.5


def _highest_region(mask):
    regions, _ = ndimage.label(mask)
    return max(rows.stop - rows.start for rows, _ in ndimage.find_objects(regions))
