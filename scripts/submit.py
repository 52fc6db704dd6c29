"""Predicts a benchmark's test set and packs what its server takes: PASCAL VOC 2012, Cityscapes.

    python scripts/submit.py --workdir=runs/voc --benchmark=voc2012 --raw_dir=VOCdevkit --output=results.tar.gz
    python scripts/submit.py --workdir=runs/city --benchmark=cityscapes --raw_dir=cityscapes --output=results.zip

All images must be there, with their official names and sizes, and readable; otherwise no archive is written.
"""

import contextlib
import sys

from absl import flags

from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import devices, large_pictures, model, views
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.storage import absolute
from deeplab_ksac.whole_files import check_writable


def define_flags():
    """Where the model and the images are, for which server, and how the predictions are made."""
    model.define_flags()
    flags.DEFINE_string("benchmark", None, "whose test set: voc2012 or cityscapes", required=True)
    flags.DEFINE_string("raw_dir", None, "folder of the benchmark's images", required=True)
    flags.DEFINE_string("output", None, "the archive: .zip, .tar.gz or .tgz", required=True)
    flags.DEFINE_string("competition", None, "of VOC: comp5 if trained on VOC alone, comp6 (the default) if on more")
    views.define_flags()
    large_pictures.define_flag()
    devices.define_flags()
    model.define_precision()
    flags.DEFINE_bool("overwrite", False, "whether an archive that exists may be replaced")


def run(given):
    """Checks the test set, loads the model, predicts and packs."""
    from deeplab_ksac.datasets.submissions import find_test_images, submission
    from deeplab_ksac.prediction import submission_archive

    large_pictures.allow(given)
    benchmark = submission(given.benchmark)
    submission_archive.check_output(given.output, overwrite=given.overwrite)
    images = find_test_images(benchmark, given.raw_dir, competition=given.competition)
    place = model.place(given)
    check_inputs_stay([place.folder, *(path for _, path in images)], [given.output])
    check_writable(absolute(given.output).parent)

    from deeplab_ksac.models.loading import load
    from deeplab_ksac.prediction.predictor import Predictor
    from deeplab_ksac.runs.evaluation import check_classes

    where = devices.prepare(given)
    loaded = load(place, checkpoint=given.checkpoint)
    check_classes(loaded.info, benchmark.info)
    chosen = views.chosen(loaded.experiment.evaluation.views, given)
    how = f"{chosen.describe()}, {given.precision}, on {where}"
    print(f"checkpoint at step {loaded.step}, {len(images)} images, {how}", file=sys.stderr)
    with contextlib.closing(Progress(len(images), "predict")) as progress:
        predictor = Predictor(loaded.network(given.precision), chosen, info=loaded.info)
        submission_archive.pack(predictor, benchmark, images, given.output, progress=progress.update)
    print(f"{len(images)} predictions for {given.benchmark}: {given.output}")
    return 0


if __name__ == "__main__":
    start("submit", define_flags, run)
