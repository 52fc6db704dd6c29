"""Predicts images with a trained model: index PNG, colored PNG and overlay of each, at the image's own size.

    python scripts/predict.py --workdir=runs/scenes --images='photos,more/*.jpg' --output_dir=predictions

The output folder gets `index/` (the class as pixel value, its color in the palette), `color/` and `overlay/`. An image
that cannot be read does not stop the rest: it is named at the end, and the exit status is 1.
"""

import contextlib
import sys
from pathlib import Path

from absl import app, flags

from scripts import images as image_files
from scripts import views
from scripts.output import exit_status, in_one_line, is_input_error, write_atomically
from scripts.progress import Progress

KINDS = ("index", "color", "overlay")
FLAGS = flags.FLAGS


def define_flags():
    """Where the model and the images are, where the predictions go, and how they are made."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_string("images", None, "files, folders and globs, separated by commas", required=True)
    flags.DEFINE_string("output_dir", None, "folder for the predictions", required=True)
    views.define_flags()
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_float("opacity", 0.5, "of the classes in the overlay", lower_bound=0, upper_bound=1)
    flags.DEFINE_bool("overwrite", False, "whether an output folder that holds predictions may be written to")


def main(argv):
    """Predicts what the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(lambda: run(FLAGS), name="predict")


def run(given):
    """Loads the workdir's model and predicts the images `given` by flags: 0, or 1 if one could not be read."""
    paths = image_files.find_images(given.images)
    check_output(Path(given.output_dir), given.overwrite)

    from deeplab_ksac.inference import Predictor
    from deeplab_ksac.training import checkpoints

    loaded = checkpoints.load_model(given.workdir, step=given.step)
    view = views.chosen(loaded.experiment.evaluation, given)
    print(f"checkpoint at step {loaded.step}, {len(paths)} images, {views.describe(**view)}", file=sys.stderr)
    predictor = Predictor(loaded.model, **view)
    failures = predict_files(predictor, loaded.info, paths, given.output_dir, opacity=given.opacity)
    print(f"predicted {len(paths) - len(failures)} of {len(paths)} images into {given.output_dir}")
    for path, reason in failures.items():
        print(f"not predicted: {path}: {reason}", file=sys.stderr)
    return 1 if failures else 0


def check_output(folder, overwrite):
    """Raises FileExistsError if `folder` is a file or already holds predictions that may not be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--output_dir={folder} is not a folder")
    held = [kind for kind in KINDS if (folder / kind).is_dir() and any((folder / kind).iterdir())]
    if held and not overwrite:
        raise FileExistsError(
            f"{folder} already holds predictions ({', '.join(held)}); name another --output_dir or give --overwrite"
        )


def predict_files(predictor, info, paths, output_dir, *, opacity=0.5):
    """Writes index, color and overlay of each image.

    Args:
        predictor: RGB [H, W, 3] -> classes [H, W].
        info: has `colors`.
        paths: the image files.
        output_dir: gets the folders of `KINDS`.
        opacity: of the classes in the overlay.

    Returns:
        {path: reason} of the images that could not be read or predicted.
    """
    output_dir, failures = Path(output_dir), {}
    for kind in KINDS:
        (output_dir / kind).mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Progress(len(paths), "predict")) as progress:
        for path, name in zip(paths, image_files.distinct_names(paths)):
            pictures = _predicted(predictor, info, path, opacity, failures)
            for kind, picture in pictures.items():
                write_atomically(output_dir / kind / f"{name}.png", picture)  # a full disk does end the run
            progress.update(1, failed=len(failures))
    return failures


def _predicted(predictor, info, path, opacity, failures):
    """The PNGs of one image, by kind; or none, and the reason in `failures`."""
    from deeplab_ksac import visualization

    try:
        image = image_files.read_image(path)
        classes = predictor(image)
    except Exception as error:
        if not (is_input_error(error) or isinstance(error, MemoryError)):
            raise
        failures[path] = in_one_line(error)
        return {}
    pictures = {
        "index": visualization.index_image(classes, info.colors),
        "color": visualization.colorize(classes, info.colors),
        "overlay": visualization.overlay(image, classes, info.colors, opacity),
    }
    return {kind: visualization.encode_png(picture) for kind, picture in pictures.items()}


if __name__ == "__main__":
    define_flags()
    app.run(main)
