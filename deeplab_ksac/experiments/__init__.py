"""The experiments by name: data only, one module for each data set or table."""

from deeplab_ksac.experiments.camvid import CAMVID
from deeplab_ksac.experiments.scenes import SCENES
from deeplab_ksac.experiments.voc import VOC

EXPERIMENTS = {**SCENES, **CAMVID, **VOC}
