"""Trained models as folders: what is in one, where one is found, and those that come with this package."""

from collections.abc import Mapping

# name -> folder, in the folder of this package; what is in it is what `ksac save` writes
SHIPPED: Mapping[str, str] = {"animals_ksac_lite0": "animals_ksac_lite0"}
