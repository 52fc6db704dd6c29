"""Compares heads on cached features of photographs: paired by seed, with bootstrap intervals.

    ksac paired_study --study=ksac --pilot --data_dir=data --backbone_weights=lite0.safetensors --workdir=runs/claims
    ksac paired_study --study=ksac --seeds=0,1,2,3,4,5 --data_dir=data --backbone_weights=… --workdir=runs/claims
    ksac paired_study --study=ksac --counts=docs/claims/ksac_counts.npz

The design is docs/claims.md. The first call caches the features (minutes on two cores); what was selected, cached,
trained or counted before is not done again. Leaves <workdir>/<study>.json, <study>.md and <study>_counts.npz, or
<study>_pilot.…. With --counts the tables are computed anew of such a file, in seconds.
"""

import sys

from absl import flags

from deeplab_ksac.experiment import LARGEST_SEED
from deeplab_ksac.experiments.claims_on_pictures import STUDIES
from deeplab_ksac.scripts.commandline import devices, values
from deeplab_ksac.scripts.commandline.ending import restart_status
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress


def define_flags():
    """What is compared, how often, and where."""
    flags.DEFINE_enum("study", None, sorted(STUDIES), "which networks")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets; the features become folders beside them")
    flags.DEFINE_string("workdir", None, "folder for runs and results, of all studies")
    flags.DEFINE_string("backbone_weights", None, "weights of the frozen backbone: as of `ksac train`")
    values.whole_numbers("seeds", "0,1,2,3,4,5", "a training of each network for each of them", most=LARGEST_SEED)
    flags.DEFINE_bool(
        "pilot", False, "the primary comparison with the five seeds of the pilot, by which the number of seeds is found"
    )
    values.whole_number("steps", None, "optimizer steps (default: the experiments')", least=1)
    flags.DEFINE_string("counts", None, "a study's counts, in place of all that they are counted of")
    devices.define_flags()
    flags.mark_flag_as_required("study")


def run(given):
    """Pictures, features, trainings, counts, table."""
    from deeplab_ksac.runs import paired_comparison
    from deeplab_ksac.runs.claims_pictures import select_pictures

    study = STUDIES[given.study].pilot if given.pilot else STUDIES[given.study]
    if given.counts:
        print(paired_comparison.as_markdown(paired_comparison.compare_recorded(study, given.counts)))
        return 0
    if not given.data_dir or not given.workdir:
        raise ValueError("give --data_dir and --workdir, or the --counts that a study left")
    print(f"paired_study on {devices.prepare(given)}", file=sys.stderr)
    select_pictures(study, given.data_dir, progress=Progress)
    return restart_status(lambda: run_study(study, given), name="paired_study")


def run_study(study, given):
    """The study with networks that are trained here where they are missing; prints its tables."""
    from deeplab_ksac.runs import paired_comparison, paired_study

    result = paired_study.run_study(
        study,
        data_dir=given.data_dir,
        workdir=given.workdir,
        name=f"{given.study}_pilot" if given.pilot else given.study,
        seeds=paired_study.PILOT_SEEDS if given.pilot else given.seeds,
        steps=given.steps,
        backbone_weights=given.backbone_weights,
        progress=Progress,
    )
    print(paired_comparison.as_markdown(result))
    return 0


if __name__ == "__main__":
    start("paired_study", define_flags, run)
