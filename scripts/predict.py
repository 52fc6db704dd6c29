"""Predicts images and videos with a trained model, each at its own size.

    python scripts/predict.py --workdir=runs/scenes --images='photos,more/*.jpg,film.mp4' --output_dir=predictions

The output folder gets a folder for each of --kinds: `index/` (the class as pixel value, its color in the palette),
`color/`, `overlay/`, `confidence/` (the probability of the likeliest class, 0 … 255) and `probabilities/` (npz). Every
frame of a video or animation is a picture of its own. A file that cannot be read does not stop the rest: it is named
at the end, and the exit status is 1.
"""

import contextlib
import sys
import warnings
from pathlib import Path

from absl import flags

from deeplab_ksac.scripts.commandline import views
from deeplab_ksac.scripts.commandline.entry import start


def define_flags():
    """Where the model and the images are, where the predictions go, and how they are made."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_string("images", None, "files, folders and globs, separated by commas", required=True)
    flags.DEFINE_string("output_dir", None, "folder for the predictions", required=True)
    flags.DEFINE_list("kinds", ["index", "color", "overlay"], "of index, color, overlay, confidence, probabilities")
    views.define_flags()
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_integer("batch_size", 1, "images of one size at a time", lower_bound=1)
    flags.DEFINE_integer("max_pixels", 4 * 2**20, "larger images are predicted in overlapping tiles", lower_bound=1024)
    flags.DEFINE_float("opacity", 0.5, "of the classes in the overlay", lower_bound=0, upper_bound=1)
    flags.DEFINE_bool("legend", True, "whether the overlay has the names of its classes below")
    flags.DEFINE_bool("overwrite", False, "whether an output folder that holds predictions may be written to")


def run(given):
    """Loads the workdir's model and predicts the images `given` by flags: 0, or 1 if one could not be read."""
    from PIL import Image

    from deeplab_ksac.prediction import images as image_files

    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # twice as much is refused all the same
    paths = image_files.find_images(given.images)

    from deeplab_ksac.prediction import files as written

    kinds = written.check_kinds(given.kinds)
    check_output(Path(given.output_dir), kinds, given.overwrite)

    from deeplab_ksac.prediction.predictor import Predictor
    from deeplab_ksac.runs import checkpoints

    loaded = checkpoints.load_model(given.workdir, step=given.step)
    view = views.chosen(loaded.experiment.evaluation, given)
    print(f"checkpoint at step {loaded.step}, {len(paths)} files, {views.describe(**view)}", file=sys.stderr)
    predictor = Predictor(loaded.model, max_pixels=given.max_pixels, **view)
    style = written.Style(loaded.info, given.opacity, given.legend)
    summary = predict_files(predictor, style, paths, given.output_dir, kinds=kinds, batch_size=given.batch_size)
    print(f"predicted {summary.count} pictures of {len(paths)} files into {given.output_dir}")
    for line in summary.lines():
        print(line, file=sys.stderr)
    return 1 if summary.failures else 0


def check_output(folder, kinds, overwrite):
    """Raises FileExistsError if `folder` is a file or already holds predictions that may not be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--output_dir={folder} is not a folder")
    held = [kind for kind in kinds if (folder / kind).is_dir() and any((folder / kind).iterdir())]
    if held and not overwrite:
        raise FileExistsError(
            f"{folder} already holds predictions ({', '.join(held)}); name another --output_dir or give --overwrite"
        )


def predict_files(predictor, style, paths, output_dir, *, kinds=("index", "color", "overlay"), batch_size=1):
    """Writes the chosen kinds of every picture of the files; reading, predicting and writing overlap.

    Args:
        predictor: a `deeplab_ksac.predictor.Predictor`.
        style: a `scripts.kinds.Style`.
        paths: the image and video files.
        output_dir: gets a folder for each kind.
        kinds: of `scripts.kinds.KINDS`.
        batch_size: pictures of one size that are predicted at a time.

    Returns:
        A `scripts.predicted.Summary`.
    """
    from deeplab_ksac.prediction import images as image_files
    from deeplab_ksac.prediction.folder import Summary, predict_batch, read_frames
    from deeplab_ksac.prediction.prefetch import WriteBehind, batches_by_size
    from deeplab_ksac.scripts.commandline.progress import Progress

    output_dir = Path(output_dir)
    for kind in kinds:
        (output_dir / kind).mkdir(parents=True, exist_ok=True)
    total = sum(map(image_files.count_pictures, paths))
    ahead = 2 if "probabilities" in kinds else 8  # results that wait are large
    with contextlib.closing(Progress(total, "predict")) as progress, WriteBehind(ahead=ahead) as writer:
        summary = Summary(style.info, progress)
        frames = read_frames(paths, summary, max_pixels=predictor.max_pixels)
        sizes = {"size_of": lambda frame: frame.pixels.shape[:2], "max_pixels": predictor.max_pixels}
        for batch in batches_by_size(frames, batch_size=batch_size, **sizes):
            predict_batch(predictor, batch, output_dir, kinds, style, summary=summary, writer=writer)
    return summary


if __name__ == "__main__":
    start("predict", define_flags, run)
