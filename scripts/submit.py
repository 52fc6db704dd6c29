"""Predicts a benchmark's test set and packs what its server takes: PASCAL VOC 2012, Cityscapes.

    python scripts/submit.py --workdir=runs/voc --benchmark=voc2012 --raw_dir=VOCdevkit --output=results.tar.gz
    python scripts/submit.py --workdir=runs/city --benchmark=cityscapes --raw_dir=cityscapes --output=results.zip

All images must be there, with their official names and sizes, and readable: a submission is whole or not made at all.
"""

import contextlib
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

from absl import flags

from deeplab_ksac.scripts.commandline import views
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress

TAR_SUFFIXES = (".tar.gz", ".tgz")


def define_flags():
    """Where the model and the images are, for which server, and how the predictions are made."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_enum("benchmark", None, ("voc2012", "cityscapes"), "whose test set", required=True)
    flags.DEFINE_string("raw_dir", None, "folder of the benchmark's images", required=True)
    flags.DEFINE_string("output", None, "the archive: .zip, .tar.gz or .tgz", required=True)
    flags.DEFINE_enum("competition", "comp6", ("comp5", "comp6"), "of VOC: trained on VOC alone, or on more")
    views.define_flags()
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_bool("overwrite", False, "whether an archive that exists may be replaced")


def run(given):
    """Checks the test set, loads the workdir's model, predicts and packs."""
    check_output(Path(given.output), given.overwrite)

    from deeplab_ksac.datasets.submissions import SUBMISSIONS, find_test_images

    submission = SUBMISSIONS[given.benchmark]
    images = find_test_images(submission, given.raw_dir, competition=given.competition)

    from deeplab_ksac.prediction.predictor import Predictor
    from deeplab_ksac.runs import checkpoints
    from deeplab_ksac.runs.evaluation import check_classes

    loaded = checkpoints.load_model(given.workdir, step=given.step)
    check_classes(loaded.info, submission.info)
    chosen = views.chosen(loaded.experiment.evaluation.views, given)
    print(f"checkpoint at step {loaded.step}, {len(images)} images, {chosen.describe()}", file=sys.stderr)
    pack(Predictor(loaded.model, chosen), submission, images, Path(given.output))
    print(f"{len(images)} predictions for {given.benchmark}: {given.output}")
    return 0


def check_output(path, overwrite):
    """Raises ValueError or FileExistsError if the archive has no known suffix or may not be written."""
    if not path.name.endswith((".zip", *TAR_SUFFIXES)):
        raise ValueError(f"--output must end with .zip, {' or '.join(TAR_SUFFIXES)}, not {path.name!r}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise FileExistsError(f"{path} exists; name another --output or give --overwrite")


def pack(predictor, submission, images, output):
    """Predicts the images and writes the archive, which is there whole or not at all.

    Args:
        predictor: RGB [H, W, 3] -> classes [H, W].
        submission: of `datasets.submissions.SUBMISSIONS`.
        images: (path in the archive, image path) of each.
        output: the archive.

    Raises:
        OSError: an image cannot be read.
    """
    from deeplab_ksac.datasets.submissions import encode_prediction
    from deeplab_ksac.prediction import images as image_files
    from deeplab_ksac.prediction.prefetch import read_ahead

    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial-{os.getpid()}")
    try:
        with contextlib.closing(Progress(len(images), "predict")) as progress, opened_archive(partial, output) as add:
            for (name, path), pixels in read_ahead(
                images, lambda image: image_files.read_image(image[1], upright=False)
            ):
                try:
                    image = pixels.result()
                except OSError as error:
                    raise OSError(f"{path}: {error}") from error
                add(name, encode_prediction(submission, predictor(image)))
                progress.update()
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def opened_archive(path, named):
    """A function (name, bytes) that adds a file to a new archive at `path`, of the kind that `named` ends with."""
    if named.name.endswith(TAR_SUFFIXES):
        with tarfile.open(path, "w:gz") as archive:

            def add(name, data):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

            yield add
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed already
            yield archive.writestr


if __name__ == "__main__":
    start("submit", define_flags, run)
