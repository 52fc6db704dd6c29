"""How `scripts/visualize.py` makes each figure: (request) -> (name, picture, arrays), one or one for each image."""

import numpy as np
import tensorflow as tf

from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.figures import drawing as figures
from deeplab_ksac.figures import probes, relations
from deeplab_ksac.figures.confusion import confusion_picture
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs.comparison import read_run
from deeplab_ksac.scripts.commandline.progress import Progress

SCALARS = ("train/loss", "train/learning_rate", "eval/miou", "eval/pixel_accuracy")


def predictions(request):
    """Image | truth | the runs side by side, framed where they differ most."""
    predictors = {name: Predictor(loaded.model) for name, loaded in request.models.items()}
    for name, image, truth in request.examples():
        answers = {run: predictor(image) for run, predictor in predictors.items()}
        picture = figures.predictions(
            [image],
            None if truth is None else [truth],
            {run: [classes] for run, classes in answers.items()},
            request.info,
            boxes=[request.boxes(answers.values(), truth)],
        )
        yield f"predictions_{name}", picture, {**known(truth), **answers}


def branch_features(request):
    """What each atrous rate sees, the runs below each other."""
    for name, image, _ in request.examples():
        maps = {run: probes.branch_features(loaded.model, image) for run, loaded in request.models.items()}
        picture = figures.branch_features(image, maps, channels=request.given.channels)
        arrays = {f"{run}_rate_{rate}": x for run, rates in maps.items() for rate, x in rates.items()}
        yield f"branch_features_{name}", picture, arrays


def attention_conflict(request):
    """What each of two attentions would predict alone, beside the prediction."""
    for run, loaded in request.models.items():
        titles = probes.conflicting_outputs(loaded.model)
        outputs = probes.probe_outputs(loaded.model, [*titles, "logits"])
        for name, image, truth in request.examples():
            logits = outputs(tf.constant(image[np.newaxis]))
            answers = {title: np.argmax(logits[key][0], axis=-1) for key, title in titles.items()}
            answers["prediction"] = np.argmax(logits["logits"][0], axis=-1)
            picture = figures.attention_conflict(
                image, truth, answers, request.info, boxes=request.boxes(answers.values(), truth)
            )
            yield f"attention_conflict_{run}_{name}", picture, {**known(truth), **answers}


def attention(request):
    """Axial attention and the gates for the chosen pixel."""
    for run, loaded in request.models.items():
        for name, image, _ in request.examples():
            point = request.point(image)
            maps = probes.axial_attention(loaded.model, image)
            height, width = maps["rows"].shape[:2]
            pixel = relations.feature_pixel(point, image.shape[:2], (height, width))
            whole = probes.attended_by(maps, pixel)
            picture = figures.attention(image, point, pixel, maps, whole)
            yield f"attention_{run}_{name}", picture, {**maps, "attended": whole, "pixel": np.array(pixel)}


def pixel_relation(request):
    """How similar the features of all pixels are to that of the chosen one."""
    probed = {run: probes.probe_outputs(loaded.model, ["features", "logits"]) for run, loaded in request.models.items()}
    for name, image, _ in request.examples():
        point, similar, answers = request.point(image), {}, {}
        for run, outputs in probed.items():
            found = outputs(tf.constant(image[np.newaxis]))
            features = probes.joined(found["features"])[0].numpy()
            pixel = relations.feature_pixel(point, image.shape[:2], features.shape[:2])
            similar[run] = relations.pixel_relation(features, pixel)
            answers[run] = np.argmax(found["logits"][0], axis=-1)
        picture = figures.pixel_relation(image, point, similar, answers, request.info)
        arrays = {f"{run}_similarity": x for run, x in similar.items()}
        yield f"pixel_relation_{name}", picture, {**arrays, **{f"{run}_classes": x for run, x in answers.items()}}


def class_dependency(request):
    """How similar the centers of all classes are over a whole split."""
    maps = {}
    for run, loaded in request.models.items():
        batches, number = request.batches()
        outputs = probes.probe_outputs(loaded.model, ["features"])
        gathered = relations.ClassDependency(request.info.num_classes)
        with Progress(number, f"class_dependency {run}") as progress:
            for batch in batches:
                gathered.update(probes.joined(outputs(batch["image"])["features"]), batch["labels"])
                progress.update()
        maps[run] = gathered.map()
    picture = figures.class_dependency(maps, request.info.class_names)
    yield "class_dependency", picture, maps


def curves(request):
    """Losses, learning rate and evaluations over the steps."""
    logged = {}
    for run, place in request.places().items():
        for quantity, points in read_run(place, SCALARS).curves.items():
            logged.setdefault(quantity, {})[run] = tuple(zip(*points))
    arrays = {f"{quantity}_{run}": np.array(x) for quantity, runs in logged.items() for run, x in runs.items()}
    yield "curves", figures.curves(logged), {name.replace("/", "_"): x for name, x in arrays.items()}


def confusion(request):
    """The confusion matrix of each run over a whole split."""
    for run, loaded in request.models.items():
        batches, number = request.batches()
        evaluator = Evaluator(loaded.model, num_classes=request.info.num_classes)
        with Progress(number, f"confusion {run}") as progress:
            evaluator(batches, progress=progress)
        matrix = evaluator.confusion_matrix()
        picture = confusion_picture(matrix, request.info.class_names, title=run)
        yield f"confusion_{run}", picture, {"matrix": np.asarray(matrix)}


def known(truth):
    """The truth as an entry of the arrays, where there is one."""
    return {} if truth is None else {"truth": truth}
