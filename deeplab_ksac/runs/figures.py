"""The thesis's figures for trained models: which pictures a figure takes, and what it draws of them.

models = load_models(["runs/ksac", "runs/aspp"])
for drawing in figure("predictions", models, SplitExamples("camvid/test", "data", count=4)):
    drawing.write("figures")
"""

import contextlib
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deeplab_ksac import storage
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets import pipeline
from deeplab_ksac.datasets.access import evenly_spread
from deeplab_ksac.datasets.band_pictures import read_bands
from deeplab_ksac.datasets.info import load_info, require_bands
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.figures import drawing, probes, relations
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.figures.colors import encode_png
from deeplab_ksac.figures.confusion import confusion_picture
from deeplab_ksac.models.loading import load
from deeplab_ksac.models.places import Place, find
from deeplab_ksac.prediction.images import find_images, read_image
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs.checkpoints import LoadedModel
from deeplab_ksac.runs.history import read_run
from deeplab_ksac.runs.places import NEWEST, Checkpoint
from deeplab_ksac.whole_files import remove_partial, write_whole

SCALARS = ("train/loss", "train/learning_rate", "eval/miou", "eval/pixel_accuracy")


class Example(NamedTuple):
    """A picture that a figure is drawn of.

    Attributes:
        name: part of the names of the figure's files.
        image: as the network sees it, 0…255, float32 [H, W, C]; RGB unless the models are of other bands.
        truth: int32 [H, W], or None where it is not known.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What a figure shows of its pictures; each figure takes what it can show.

    Attributes:
        point: (row, column) of the chosen pixel in the image; None for the middle.
        box: (top, left, height, width) of a frame in pixels; None for where the predictions differ most.
        channels: feature maps of each rate.
        originals: whether the picture and its truth are shown beside what the models made of it.
        progress: (total, label) -> an object with `update()` and `close()`, for what takes a whole split.
    """

    point: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None
    channels: int = 25
    originals: bool = True
    progress: Callable[[int, str], Any] | None = None


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure that was drawn.

    Attributes:
        name: of its files.
        picture: uint8 RGB [H, W, 3].
        arrays: what is drawn, by name.
    """

    name: str
    picture: np.ndarray
    arrays: Mapping[str, np.ndarray]

    def write(self, folder: str | os.PathLike) -> storage.Place:
        """Writes <folder>/<name>.png and the arrays to <name>.npz; the path of the first."""
        storage.place(folder).mkdir(parents=True, exist_ok=True)
        picture, arrays = self.files(folder)
        remove_partial(folder, [picture.name, arrays.name])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self.arrays)
        write_whole(arrays, buffer.getvalue())
        write_whole(picture, encode_png(self.picture))
        return picture

    def files(self, folder: str | os.PathLike) -> tuple[storage.Place, storage.Place]:
        """Where `write` writes the picture and the arrays."""
        return tuple(storage.place(folder) / f"{self.name}{suffix}" for suffix in (".png", ".npz"))


Models = Mapping[str, LoadedModel]


def load_models(
    sources: Iterable[str | os.PathLike | Place], checkpoint: Checkpoint = NEWEST
) -> dict[str, LoadedModel]:
    """{name: model} of runs and saved models, as `models.places.find` takes them, by their names as `distinct_names`.

    Args:
        sources: where the models are.
        checkpoint: of each run, as `checkpoints.checkpoint_path`.

    Raises:
        FileNotFoundError: a folder without a model.
        ValueError: models of different classes or bands.
    """
    places = {storage.place(place.source): place for place in map(find, sources)}
    models = {name: load(places[path], checkpoint=checkpoint) for name, path in distinct_names(places).items()}
    (first, model), *others = models.items()
    for name, other in others:
        require_bands(name, other.info.bands, model.info.bands, first)
        if other.info.class_names != model.info.class_names:
            raise ValueError(
                f"{name} has other classes ({other.info.name}, {other.info.num_classes}) than {first} "
                f"({model.info.name}, {model.info.num_classes}); they cannot be shown side by side"
            )
    return models


def distinct_names(
    paths: Iterable[str | os.PathLike], short: Callable[[storage.Place], str] = lambda path: path.absolute().name
) -> dict[str, storage.Place]:
    """{name: path}, each path once; a name can be part of a file's.

    Args:
        paths: what is named.
        short: the name of a path (default: its last part). Where two have the same, all of them are named by all parts.

    Raises:
        ValueError: paths that get the same name nevertheless.
    """
    paths = list(dict.fromkeys(map(storage.place, paths)))
    names = [short(path) for path in paths]
    if len(set(names)) < len(paths):
        names = ["_".join(part for part in path.parts if part != path.anchor) for path in paths]
    named = dict(zip(names, paths, strict=True))
    if len(named) < len(paths):
        raise ValueError(f"{', '.join(map(str, paths))} cannot be told apart by their names; rename one")
    return named


class SplitExamples:
    """Examples of a converted split with their truth, in order: an iterable with a length.

    Args:
        split: "data set/split".
        data_dir: folder of the converted data sets.
        count: how many, evenly spread over the split; None for all, as where there are no more.
        class_names: that the data set must have.
        bands: that its pictures must have; None for any.

    Raises:
        ValueError: there is no such data set or split, or it has other classes or bands.
    """

    def __init__(
        self,
        split: str | Split,
        data_dir: str | os.PathLike,
        *,
        count: int | None = None,
        class_names: Sequence[str] | None = None,
        bands: Bands | None = None,
    ):
        self.split = Split.parse(str(split))
        self.data_dir = data_dir
        info = load_info(self.split.dataset, data_dir)
        if self.split.name not in info.num_examples:
            known = ", ".join(info.num_examples)
            raise ValueError(f"{self.split.dataset} has no split {self.split.name!r}; it has {known}")
        if class_names is not None and info.class_names != tuple(class_names):
            raise ValueError(f"{self.split.dataset} has other classes than the model was trained on")
        if bands is not None:
            require_bands(self.split.dataset, info.bands, bands, "the model")
        number = info.num_examples[self.split.name]
        self.count = number if count is None else min(count, number)
        self.numbers = evenly_spread(self.count, number)  # neighbors are often frames of one film

    def __len__(self):
        return self.count

    def __iter__(self) -> Iterator[Example]:
        batches = pipeline.eval_batches(self.split.dataset, self.split.name, data_dir=self.data_dir, images=self.count)
        for number, batch in zip(self.numbers, batches, strict=False):
            yield Example(f"{number:05d}", batch["image"][0].numpy(), batch["labels"][0].numpy())


class ImageExamples:
    """Images of which no truth is known: an iterable with a length.

    Args:
        places: files, folders or globs, comma-separated, as `prediction.images.find_images`.
        bands: of the images.

    Raises:
        FileNotFoundError: a place that names no file.
    """

    def __init__(self, places: str, bands: Bands = RGB):
        self.bands = bands
        self.paths = distinct_names(find_images(places), short=lambda path: path.stem)

    def __len__(self):
        return len(self.paths)

    def __iter__(self) -> Iterator[Example]:
        for name, path in self.paths.items():
            stored = read_image(path) if self.bands.is_rgb else read_bands(path, self.bands)
            yield Example(name, stored.astype(np.float32) / np.float32(self.bands.unit))


def figure(
    name: str,
    models: Models | Mapping[str, str | os.PathLike],
    examples: Iterable[Example] = (),
    options: Options = Options(),
) -> Iterator[Drawing]:
    """Draws a figure: one `Drawing`, or one for each example or model, in turn.

    Args:
        name: a key of `FIGURES`.
        models: {name: model}, all of one class set; for "curves" {name: workdir}.
        examples: what they are shown; for "class_dependency" and "confusion" the whole split with its truth.
        options: what is shown of them.

    Raises:
        ValueError: there is no such figure, or a model does not have what it shows.
    """
    if name not in FIGURES:
        raise ValueError(f"unknown figure {name!r}; the figures are {', '.join(FIGURES)}")
    return FIGURES[name](models, examples, options)


def predictions(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """Image | truth | the models side by side, framed where they differ most: a drawing of each example.

    Each model sees the example in the views of its own evaluation.
    """
    predictors = {
        run: Predictor(loaded.model, loaded.experiment.evaluation.views, info=loaded.info)
        for run, loaded in models.items()
    }
    for example in examples:
        answers = {run: predictor(example.image) for run, predictor in predictors.items()}
        yield _side_by_side(f"predictions_{example.name}", example, answers, _info(models), options)


def branch_features(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """What each atrous rate sees, the models below each other: a drawing of each example."""
    for name, image, _ in examples:
        maps = {run: probes.branch_features(loaded.model, image) for run, loaded in models.items()}
        picture = drawing.branch_features(
            _shown(image, models), maps, channels=options.channels, originals=options.originals
        )
        arrays = {f"{run}_rate_{rate}": x for run, rates in maps.items() for rate, x in rates.items()}
        yield Drawing(f"branch_features_{name}", picture, arrays)


def attention_conflict(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """What each of two attentions would predict alone, beside the prediction: a drawing of each example and model."""
    titles = {run: probes.conflicting_outputs(loaded.model) for run, loaded in models.items()}
    outputs = {run: probes.probe_outputs(loaded.model, [*titles[run], "logits"]) for run, loaded in models.items()}
    for example in examples:
        for run in models:
            logits = outputs[run](tf.constant(example.image[np.newaxis]))
            answers = {title: np.argmax(logits[key][0], axis=-1) for key, title in titles[run].items()}
            answers["prediction"] = np.argmax(logits["logits"][0], axis=-1)
            yield _side_by_side(f"attention_conflict_{run}_{example.name}", example, answers, _info(models), options)


def attention(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """Axial attention and the gates for the chosen pixel: a drawing of each example and model."""
    for name, image, _ in examples:
        for run, loaded in models.items():
            point = _point(options, image)
            maps = probes.axial_attention(loaded.model, image)
            pixel = relations.feature_pixel(point, image.shape[:2], maps["rows"].shape[:2])
            whole = probes.attended_by(maps, pixel)
            picture = drawing.attention(_shown(image, models), point, pixel, maps, whole, originals=options.originals)
            yield Drawing(f"attention_{run}_{name}", picture, {**maps, "attended": whole, "pixel": np.array(pixel)})


def pixel_relation(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """How similar the features of all pixels are to that of the chosen one: a drawing of each example."""
    probed = {run: probes.probe_outputs(loaded.model, ["features", "logits"]) for run, loaded in models.items()}
    for name, image, _ in examples:
        point, similar, answers = _point(options, image), {}, {}
        for run, outputs in probed.items():
            found = outputs(tf.constant(image[np.newaxis]))
            features = probes.joined(found["features"])[0].numpy()
            pixel = relations.feature_pixel(point, image.shape[:2], features.shape[:2])
            similar[run] = relations.pixel_relation(features, pixel)
            answers[run] = np.argmax(found["logits"][0], axis=-1)
        picture = drawing.pixel_relation(
            _shown(image, models), point, similar, answers, _info(models), originals=options.originals
        )
        arrays = {f"{run}_similarity": x for run, x in similar.items()}
        arrays |= {f"{run}_classes": x for run, x in answers.items()}
        yield Drawing(f"pixel_relation_{name}", picture, arrays)


def class_dependency(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """How similar the centers of all classes are over the examples: one drawing."""
    maps = {}
    for run, loaded in models.items():
        outputs = probes.probe_outputs(loaded.model, ["features"])
        gathered = relations.ClassDependency(loaded.info.num_classes)
        for batch in _batches(examples, f"class_dependency {run}", options):
            gathered.update(probes.joined(outputs(batch["image"])["features"]), batch["labels"])
        maps[run] = gathered.map()
    yield Drawing("class_dependency", drawing.class_dependency(maps, _info(models).class_names), maps)


def curves(
    workdirs: Mapping[str, str | os.PathLike], examples: Iterable[Example] = (), options: Options = Options()
) -> Iterator[Drawing]:
    """Losses, learning rate and evaluations of runs, {name: workdir}, over the steps: one drawing."""
    logged = {}
    for run, place in workdirs.items():
        for quantity, points in read_run(place, SCALARS).curves.items():
            logged.setdefault(quantity, {})[run] = tuple(zip(*points, strict=True))
    arrays = {
        f"{quantity}_{run}".replace("/", "_"): np.array(x)
        for quantity, runs in logged.items()
        for run, x in runs.items()
    }
    yield Drawing("curves", drawing.curves(logged), arrays)


def confusion(models: Models, examples: Iterable[Example], options: Options = Options()) -> Iterator[Drawing]:
    """The confusion matrix over the examples, in the views of each model's own evaluation: a drawing of each model."""
    for run, loaded in models.items():
        views = loaded.experiment.evaluation.views
        evaluator = Evaluator(loaded.model, num_classes=loaded.info.num_classes, views=views)
        evaluator(_batches(examples, f"confusion {run}", options))
        matrix = evaluator.confusion_matrix()
        picture = confusion_picture(matrix, loaded.info.class_names, title=run)
        yield Drawing(f"confusion_{run}", picture, {"matrix": np.asarray(matrix)})


FIGURES = {
    "predictions": predictions,
    "branch_features": branch_features,
    "attention_conflict": attention_conflict,
    "attention": attention,
    "pixel_relation": pixel_relation,
    "class_dependency": class_dependency,
    "curves": curves,
    "confusion": confusion,
}


def _info(models):
    """Names and colors of the classes."""
    return next(iter(models.values())).info


def _shown(image, models):
    """An example's image for the eye."""
    return as_rgb(image, _info(models).bands)


def _side_by_side(name, example, answers, info, options):
    """Image | truth | answers, {title: [H, W]}, with the frames."""
    picture = drawing.predictions(
        [as_rgb(example.image, info.bands)],
        None if example.truth is None else [example.truth],
        {title: [classes] for title, classes in answers.items()},
        info,
        boxes=[_boxes(options, answers.values(), example.truth, example.image.shape[:2])],
        originals=options.originals,
    )
    truth = {"truth": example.truth} if options.originals and example.truth is not None else {}
    return Drawing(name, picture, {**truth, **answers})


def _point(options, image):
    return options.point or (image.shape[0] // 2, image.shape[1] // 2)


def _boxes(options, predicted, truth, size):
    """The frames of one image of a size: the given one, or where the predictions differ most."""
    if options.box is not None:
        ends = zip(options.box[:2], options.box[2:], size, strict=True)
        if not all(length >= 1 and start + length <= side for start, length, side in ends):
            raise ValueError(
                f"the box {tuple(options.box)} of top, left, height and width is not inside the image of {size[0]} "
                f"rows and {size[1]} columns"
            )
        return (options.box,)
    found = relations.largest_disagreement(list(predicted), truth=truth)
    return () if found is None else (found,)


def _batches(examples, label, options):
    """The examples as batches of one, each counted once it was taken."""
    with contextlib.ExitStack() as ended:
        shown = options.progress and ended.enter_context(contextlib.closing(options.progress(len(examples), label)))
        for name, image, truth in examples:
            if truth is None:
                raise ValueError(f"{label} needs the truth of its pictures; {name} has none")
            yield {"image": image[np.newaxis], "labels": truth[np.newaxis]}
            if shown:
                shown.update()
