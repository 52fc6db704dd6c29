"""The experiments by name: data only, one module for each data set or table."""

from deeplab_ksac.experiments.animals import ANIMALS
from deeplab_ksac.experiments.camvid import CAMVID
from deeplab_ksac.experiments.claims import CLAIMS
from deeplab_ksac.experiments.claims_on_pictures import CLAIMS_ON_PICTURES
from deeplab_ksac.experiments.scenes import SCENES
from deeplab_ksac.experiments.tables import TABLE_ROWS, TABLES
from deeplab_ksac.experiments.voc import VOC

ROWS = {name: row.experiment for name, row in TABLE_ROWS.items() if row.experiment is not None}
EXPERIMENTS = {**SCENES, **ANIMALS, **CAMVID, **VOC, **CLAIMS, **CLAIMS_ON_PICTURES, **ROWS}

__all__ = ["EXPERIMENTS", "TABLES", "TABLE_ROWS"]
