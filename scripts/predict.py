"""Predicts images and videos with a trained model, each at its own size.

    python scripts/predict.py --workdir=runs/scenes --images='photos,more/*.jpg,film.mp4' --output_dir=predictions
    python scripts/predict.py --model=my_model --images=photo.jpg --output_dir=predictions

The output folder gets a folder for each of --kinds: `index/` (the class as pixel value, its color in the palette),
`color/`, `overlay/`, `confidence/` (probability of the most likely class, 0 … 255) and `probabilities/` (npz). Every
frame of a video or animation is a separate picture. A model that was trained on pictures of other bands than RGB reads
PNG and TIFF files of so many bands and bits. A file that cannot be read does not stop the rest: it is named
at the end, and the exit status is 1.
"""

import sys

from absl import flags

from deeplab_ksac import storage
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.prediction.tiles import MAX_PIXELS
from deeplab_ksac.scripts.commandline import devices, large_pictures, model, values, views
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import check_writable


def define_flags():
    """Where the model and the images are, where the predictions go, and how they are made."""
    model.define_flags()
    flags.DEFINE_string("images", None, "files, folders and globs, separated by commas", required=True)
    flags.DEFINE_string("output_dir", None, "folder for the predictions", required=True)
    flags.DEFINE_list("kinds", ["index", "color", "overlay"], "any of index, color, overlay, confidence, probabilities")
    views.define_flags()
    values.whole_number("batch_size", 1, "images of one size at a time", least=1)
    values.whole_number("max_pixels", MAX_PIXELS, "larger images are predicted in overlapping tiles", least=1024)
    large_pictures.define_flag()
    devices.define_flags()
    model.define_precision()
    values.number("opacity", 0.5, "opacity of the classes in the overlay", "[0, 1]")
    flags.DEFINE_bool("legend", True, "whether the overlay has a legend of its classes")
    flags.DEFINE_bool("overwrite", False, "whether predictions in the output folder may be overwritten")


def run(given):
    """Loads the model and predicts the images `given` by flags: 0, or 1 if one could not be read."""
    from deeplab_ksac.prediction import files as written
    from deeplab_ksac.prediction.images import find_images

    kinds = kinds_of(given.kinds)
    large_pictures.allow(given)
    paths = find_images(given.images)
    written.check_output(storage.place(given.output_dir), kinds, overwrite=given.overwrite)
    check_inputs_stay(paths, [storage.place(given.output_dir) / kind for kind in kinds])
    check_writable(given.output_dir)
    place = model.place(given)

    from deeplab_ksac.models.loading import load
    from deeplab_ksac.prediction.folder import predict_files
    from deeplab_ksac.prediction.predictor import Predictor

    where = devices.prepare(given)
    loaded = load(place, checkpoint=given.checkpoint)
    chosen = views.chosen(loaded.experiment.evaluation.views, given)
    how = f"{chosen.describe()}, {given.precision}, on {where}"
    print(f"checkpoint at step {loaded.step}, {len(paths)} files, {how}", file=sys.stderr)
    summary = predict_files(
        Predictor(loaded.network(given.precision), chosen, max_pixels=given.max_pixels, info=loaded.info),
        paths,
        given.output_dir,
        kinds=kinds,
        style=written.Style(loaded.info, given.opacity, given.legend),
        batch_size=given.batch_size,
        progress=Progress,
    )
    print(f"predicted {summary.count} pictures of {len(paths)} files into {given.output_dir}")
    for line in summary.lines():
        print(line, file=sys.stderr)
    return 1 if summary.failures else 0


def kinds_of(names):
    """The kinds that --kinds names.

    Raises:
        ValueError: one that does not exist, or none.
    """
    from deeplab_ksac.prediction import files as written

    with values.named():
        return written.check_kinds(names)


if __name__ == "__main__":
    start("predict", define_flags, run)
