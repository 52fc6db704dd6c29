"""The sheet of a data set, without its pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.survey import SplitSurvey
from deeplab_ksac.figures import contact_sheet

LONG = "television receiver, television, television set, tv, tv set, idiot box, boob tube, telly, goggle box"


@pytest.mark.parametrize("names", [("sky", "road"), (LONG, "US$ \\frac{ $")], ids=("short", "long"))
def test_the_bars_keep_their_height_whatever_the_names_below_them(names):
    info = DatasetInfo("two", names, ((0, 0, 0), (9, 9, 9)))
    survey = SplitSurvey("train", pixels=np.bincount([0] * 9 + [1], minlength=256))
    with Image.open(io.BytesIO(contact_sheet.draw(info, [survey]))) as drawn:
        picture = np.asarray(drawn.convert("RGB"))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert np.all(edge == 255)
    bars = np.abs(picture.astype(int) - (31, 119, 180)).max(axis=-1) <= 1
    rows = np.flatnonzero(bars.sum(axis=1) > 300)
    assert np.ptp(rows) > 150
