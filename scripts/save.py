"""Saves a trained model as a folder of JSON and safetensors, which is loaded without its training run.

    python scripts/save.py --workdir=runs/scenes --output=scenes_model --dtype=float16 --card=about_scenes.md

The folder has `model.json` (experiment, classes with their colors, where the model comes from), `weights.safetensors`
and, with --card, `README.md`. `--model=<folder>` of the other commands and `Predictor.load` take it; uploaded to
Hugging Face's hub as it is, it is `hf://user/name`.
"""

from absl import flags

from deeplab_ksac import storage
from deeplab_ksac.models.files import DTYPES, check_free
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import model, views
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.whole_files import check_writable, read_whole


def define_flags():
    """Which model, where it goes, and what is told of it."""
    model.define_flags()
    flags.DEFINE_string("output", None, "folder to write", required=True)
    flags.DEFINE_enum("dtype", DTYPES[0], DTYPES, "numbers that the weights are written as; float16 halves the file")
    flags.DEFINE_string("card", None, "text file (Markdown) that becomes the folder's README.md")
    views.define_flags()
    flags.DEFINE_bool("averaged", None, "use moving averages of the weights (default: if the run kept them)")
    flags.DEFINE_bool("overwrite", False, "whether a saved model at --output may be replaced")


def run(given):
    """Loads the model and saves it as `given` by flags."""
    place = model.place(given)
    check_free(given.output, overwrite=given.overwrite)
    check_inputs_stay([place.folder], [given.output])
    check_writable(storage.absolute(given.output).parent)
    card = None if given.card is None else card_of(given.card)

    from deeplab_ksac.models.loading import load
    from deeplab_ksac.prediction.predictor import Predictor

    loaded = load(place, checkpoint=given.checkpoint, averaged=given.averaged)
    chosen = views.chosen(loaded.experiment.evaluation.views, given)
    predictor = Predictor(loaded.model, chosen, info=loaded.info, trained=loaded)
    path = predictor.save(given.output, dtype=given.dtype, card=card, overwrite=given.overwrite)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"{path} ({size / 1e6:.1f} MB, {given.dtype}, step {loaded.step}, {chosen.describe()})")
    return 0


def card_of(path):
    """The text that --card names.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    try:
        return read_whole(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"--card={path} is no UTF-8 text: {error.reason} at byte {error.start}") from error


if __name__ == "__main__":
    start("save", define_flags, run)
