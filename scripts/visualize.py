"""Draws the thesis's figures for trained models: a PNG each, and the arrays behind it as npz.

    python scripts/visualize.py predictions      --workdir=runs/a,runs/b --data_dir=data --dataset=camvid/test --count=4
    python scripts/visualize.py branch_features  --workdir=runs/ksac,runs/aspp --images=street.jpg
    python scripts/visualize.py attention        --workdir=runs/caa --images=street.jpg --point=120,200
    python scripts/visualize.py class_dependency --workdir=runs/plain,runs/car --data_dir=data
    python scripts/visualize.py curves           --workdir=runs/a,runs/b

Figures: predictions (Figs. 2.5, 3.6–3.9), branch_features (2.4), attention_conflict (3.3, 3.4), attention,
pixel_relation (4.4, 4.6, 4.7), class_dependency (4.5), curves, confusion. Images come from `--images`, or with their
truth from `--dataset` (default: the split that the first run is evaluated on).
"""

from absl import flags

from deeplab_ksac.errors import printable
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import large_pictures, model, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import check_writable

OF_PICTURES = ("predictions", "branch_features", "attention_conflict", "attention", "pixel_relation")
OF_A_SPLIT = ("class_dependency", "confusion")
FIGURES = (*OF_PICTURES, *OF_A_SPLIT, "curves")


def define_flags():
    """Of which models and images the figure is, and where it goes."""
    model.define_list_flags()
    flags.DEFINE_string("images", None, "files, folders or globs, comma-separated (pictures without truth)")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string("dataset", None, "name/split (default: the first run's evaluation)")
    values.whole_number("count", 3, "how many images of the data set, evenly spread", least=1)
    values.whole_numbers("point", None, "row,column of the chosen pixel in the image (default: the middle)", count=2)
    values.whole_numbers(
        "box", None, "top,left,height,width of a frame (default: where the predictions differ most)", count=4
    )
    values.whole_number("channels", 25, "feature maps of each rate (branch_features)", least=1)
    flags.DEFINE_bool(
        "originals",
        True,
        "show the pictures and their truth; --nooriginals leaves out what a license may forbid to pass on",
    )
    large_pictures.define_flag()
    flags.DEFINE_string("output_dir", None, "where to write (default: figures in the first run's folder)")


def run(figure, given):
    """Draws one figure (or one per image) and writes it."""
    if figure not in FIGURES:
        raise ValueError(f"unknown figure {figure!r}; the figures are {', '.join(FIGURES)}")
    places = model.places(given)
    saved = next((place.source for place in places if not place.is_run), None)
    if figure == "curves" and saved is not None:
        raise ValueError(f"curves are drawn of training runs; {saved} is a saved model, which has none")
    folder = model.output_dir(given, places[0], "figures")

    from deeplab_ksac.runs import figures

    large_pictures.allow(given)
    options = figures.Options(
        point=given.point,
        box=given.box,
        channels=given.channels,
        originals=given.originals,
        progress=Progress,
    )
    if figure == "curves":
        models, examples = figures.distinct_names(place.folder for place in places), ()
    else:
        models = figures.load_models(places, given.checkpoint)
        examples = pictures(figure, given, next(iter(models.values())))
    check_writable(folder)
    read = getattr(examples, "paths", {}).values()
    for drawing in figures.figure(figure, models, examples, options):
        check_inputs_stay(read, drawing.files(folder))
        print(printable(str(drawing.write(folder))))
    return 0


def pictures(figure, given, first):
    """What a figure is drawn of: loose images, some of a split, or all of it.

    Args:
        first: the first `LoadedModel`.

    Raises:
        ValueError: it takes a data set, and no folder of data sets is given.
    """
    from deeplab_ksac.runs.figures import ImageExamples, SplitExamples

    if given.images and figure in OF_PICTURES:
        return ImageExamples(given.images, first.info.bands)
    if not given.data_dir:
        instead = ", or --images" if figure in OF_PICTURES else ""
        raise ValueError(f"this figure needs --data_dir, the folder of the converted data sets{instead}")
    return SplitExamples(
        given.dataset or first.experiment.evaluation.dataset,
        given.data_dir,
        count=given.count if figure in OF_PICTURES else None,
        class_names=first.info.class_names,
        bands=first.info.bands,
    )


if __name__ == "__main__":
    start("visualize", define_flags, run, arguments={"figure": f"one of {', '.join(FIGURES)}"})
