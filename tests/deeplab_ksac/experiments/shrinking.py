"""The rows' models at a width at which all of them build in seconds."""

import dataclasses
import inspect

from deeplab_ksac.construct import VARIADIC
from deeplab_ksac.experiment import Part
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import DECODERS, Bottleneck
from deeplab_ksac.heads.necks import NECKS
from deeplab_ksac.heads.projection import PROJECTIONS
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE

TINY = {
    "filters": 4,
    "low_level_filters": 3,
    "key_filters": 2,
    "gate_width": 3,
    "gate_depth": 2,
    "prior_size": (3, 3),
    "ratio": 2,
}


def taken(constructor):
    """The names of a constructor's arguments."""
    return [name for name, p in inspect.signature(constructor).parameters.items() if p.kind not in VARIADIC]


def shrunk(spec):
    """A `ModelSpec` whose every width is tiny and whose backbone is `tiny_backbone`.

    What makes a row what it is stays: the parts, their kernels, rates and outputs, the output stride.
    """

    def narrow(arguments, constructor):
        return {**arguments, **{name: value for name, value in TINY.items() if name in taken(constructor)}}

    def narrow_part(old, table):
        return old and Part(old.name, narrow(old.args, table[old.name]))

    return dataclasses.replace(
        spec,
        backbone=TINY_BACKBONE,
        head=narrow_part(spec.head, HEADS),
        neck=narrow_part(spec.neck, NECKS),
        projection=narrow_part(spec.projection, PROJECTIONS),
        decoder=narrow_part(spec.decoder, DECODERS),
        bottleneck=spec.bottleneck and narrow(spec.bottleneck, Bottleneck),
        auxiliary=None if spec.auxiliary is None else narrow(spec.auxiliary, AuxiliaryClassifier),
    )
