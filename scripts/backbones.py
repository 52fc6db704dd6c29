"""Prints the backbones' sizes beside the thesis's, or their features' errors against timm's.

    ksac backbones                                  # parameters and multiply-adds at 513×513
    ksac backbones --reference=reference            # our features from timm's weights against timm's own

`deeplab_ksac/backbones/comparison.py` says what a folder of references holds.
"""

import gc
import sys

from absl import flags

from deeplab_ksac.scripts.commandline.entry import start

SIDE = 513


def define_flags():
    """What to print, and where references are."""
    flags.DEFINE_string("reference", None, "folder of timm's weights and features (default: print sizes instead)")
    flags.DEFINE_list("backbones", [], "names of backbones (default: all)")


def run(given):
    """Prints the table that the flags ask for."""
    from deeplab_ksac.backbones import comparison

    chosen = comparison.known(given.backbones)
    return print_sizes(chosen) if given.reference is None else print_errors(given.reference, chosen)


def print_sizes(chosen):
    """Prints parameters and multiply-adds of backbones at their output strides, and the thesis's model on each."""
    from deeplab_ksac.backbones.comparison import dense_strides, size_of, smallest_in_thesis
    from deeplab_ksac.flops import GIGA

    size = f"G at {SIDE}×{SIDE}"
    print(f"{'backbone':<18}{'output stride':>14}{'parameters':>13}{size:>14}  in the thesis, with its head")
    for name in chosen:
        for output_stride in dense_strides(name):
            parameters, products = size_of(name, output_stride, SIDE)
            gc.collect()  # a model is a cycle: its weights would stay until the collector happens to run
            total, model = smallest_in_thesis(name, output_stride) or ("", "")
            line = f"{name:<18}{output_stride:>14}{parameters:>13,}{products / GIGA:>14.3f}  {total} {model}"
            print(line.rstrip(), flush=True)
    return 0


def print_errors(folder, chosen):
    """Prints the errors of every reference of the chosen backbones by stage; 1 where one exceeds the tolerance."""
    from deeplab_ksac.backbones.comparison import STAGES, TOLERANCE, feature_errors, find_references, network_of

    references = find_references(folder, chosen)
    print(f"{'network':<30}{'output stride':>14}{'image':>10}" + "".join(f"{stage:>10}" for stage in STAGES))
    worst = 0.0
    for path in references:
        network, output_stride = network_of(path)
        size, errors = feature_errors(path)
        shown = "".join(f"{errors[stage]:>10.1e}" if stage in errors else f"{'':>10}" for stage in STAGES)
        print(f"{network:<30}{output_stride:>14}{f'{size[0]}×{size[1]}':>10}{shown}", flush=True)
        worst = max(worst, *errors.values())
    if worst > TOLERANCE:
        print(f"backbones: errors of up to {worst:.1e}, above {TOLERANCE:.0e}", file=sys.stderr)
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    start("backbones", define_flags, run)
