"""Multiply-adds: counted on the graph (`count`), in the thesis's convention, and for its tables (`tables`)."""

from deeplab_ksac.flops.convention import CONVENTIONS, thesis_gflops
from deeplab_ksac.flops.count import (
    GIGA,
    Counts,
    count_flops,
    count_multiply_adds,
    count_parameters,
    count_saved_model,
    model_graph,
)

__all__ = [
    "CONVENTIONS",
    "GIGA",
    "Counts",
    "count_flops",
    "count_multiply_adds",
    "count_parameters",
    "count_saved_model",
    "model_graph",
    "thesis_gflops",
]
