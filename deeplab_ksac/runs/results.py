"""What an evaluation of a run found: as a table, and as the files of the run's folder."""

import csv
import dataclasses
import hashlib
import io
import json
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.errors import printable
from deeplab_ksac.experiment import Views
from deeplab_ksac.figures.colors import encode_png
from deeplab_ksac.figures.confusion import confusion_picture
from deeplab_ksac.prediction.frames import one_class_warning
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import append, write_whole

LONGEST_SCALES = 80  # letters of a file's name
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what the content of a cell begins with that is computed
CLASS_FIGURES = {  # key of a result -> column of CSV and table
    "iou": "IoU",
    "accuracy": "accuracy",
    "boundary_f_scores": "boundary F",
    "share": "pixels",
}
MEANS = {
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "boundary_f_score": "boundary F-score",
}


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """What one evaluation of a run's checkpoint found.

    Attributes:
        split: what it was evaluated on.
        views: how the model saw the images.
        stage, step: of the checkpoint.
        class_names: of the K classes.
        figures: of an `Evaluator`: "miou", "iou" per class, "images" …; with a boundary F-score its
            "boundary_tolerance".
        confusion_matrix: int64 [K, K], rows the truth.
        precision: in which the model computed.
    """

    split: Split
    views: Views
    stage: int
    step: int
    class_names: Sequence[str]
    figures: Mapping
    confusion_matrix: np.ndarray
    precision: str = "float32"

    @property
    def name(self) -> str:
        """The name of its files, without what tells them apart."""
        return result_name(self.split, self.views, self.precision)

    @property
    def title(self) -> str:
        """What was evaluated how, in a line."""
        half = f", {self.precision}" * (self.precision != "float32")
        return f"{self.split}, step {self.step}, {self.views.describe()}{half}"

    def as_dict(self) -> dict:
        """What its JSON file holds, but the names of the classes."""
        where = {"dataset": self.split.dataset, "split": self.split.name, "stage": self.stage, "step": self.step}
        return {**where, **dataclasses.asdict(self.views), "precision": self.precision, **self.figures}

    def table(self) -> str:
        """IoU, accuracy … of each class, and the means, as text."""
        return table(self.figures, self.class_names)

    def warning(self) -> str:
        """A sentence where no pixel is labeled, there is one class, or nearly all were predicted as one, else ""."""
        if not self.figures["pixels"]:
            return f"warning: {self.split} has no labeled pixel: there is nothing to compare with"
        if len(self.class_names) == 1:
            return f"warning: there is one class, {self.class_names[0]!r}: every model has an mIoU of 1"
        pixels = [share * self.figures["pixels"] for share in self.figures["predicted_share"]]
        return one_class_warning(pixels, self.class_names)

    def write(self, folder: str | os.PathLike) -> list[Place]:
        """Writes <name>.json, .csv and _confusion.png; their paths."""
        paths = [place(folder) / f"{self.name}{ending}" for ending in (".json", ".csv", "_confusion.png")]
        write_whole(paths[0], as_json(self.as_dict(), self.class_names))
        write_whole(paths[1], as_csv(self.figures, self.class_names))
        picture = confusion_picture(self.confusion_matrix, self.class_names, title=self.title)
        write_whole(paths[2], encode_png(picture))
        return paths

    def append_line(self, folder: str | os.PathLike) -> None:
        """Appends its JSON as a line to <name>.jsonl."""
        line = as_json(self.as_dict(), self.class_names, indent=None)
        append(place(folder) / f"{self.name}.jsonl", line.decode())


def result_name(split: Split, views: Views, precision: str = "float32") -> str:
    """The name of a result's files: eval_<data set>_<split>, and what is not single-scale on the whole image.

    _ms<scale>-<scale>… for other scales than 1, _flip, _window<h>x<w>, _pad<h>x<w>, _probabilities, _bfloat16. Of many
    scales the name has their number and a checksum.
    """
    scales = "-".join(map(_shortest, views.scales))
    if len(scales) > LONGEST_SCALES:
        scales = f"{len(views.scales)}scales-{hashlib.sha256(scales.encode()).hexdigest()[:8]}"
    marks = f"_ms{scales}" * (views.scales != (1.0,)) + "_flip" * views.flip
    marks += "" if views.window is None else "_window{}x{}".format(*views.window)
    marks += "" if views.pad_to is None else "_pad{}x{}".format(*views.pad_to)
    marks += "_probabilities" * (views.average == "probabilities")
    marks += f"_{precision}" * (precision != "float32")
    return f"eval_{split.dataset}_{split.name}{marks}"


def _shortest(number):
    return str(int(number)) if number == int(number) else repr(number)


def as_json(result: Mapping, class_names: Sequence[str], *, indent: int | None = 1) -> bytes:
    """The result as the bytes of a JSON text; NaN (an absent class) becomes null."""

    def known(value):
        if isinstance(value, (list, tuple)):
            return [known(element) for element in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    content = {**{key: known(value) for key, value in result.items()}, "class_names": list(class_names)}
    return (json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(result: Mapping, class_names: Sequence[str]) -> bytes:
    """A row for each class and one for the means, as the bytes of a CSV file; an absent class has empty cells."""
    columns = {key: title for key, title in CLASS_FIGURES.items() if key in result}
    means = {"iou": "miou", "accuracy": "mean_accuracy", "boundary_f_scores": "boundary_f_score"}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", *columns.values()])
    for number, name in enumerate(class_names):
        writer.writerow([_as_text(name), *(_cell(result[key][number]) for key in columns)])
    writer.writerow(["mean", *(_cell(result[means[key]]) if key in means else "" for key in columns)])
    return stream.getvalue().encode()


def table(result: Mapping, class_names: Sequence[str]) -> str:
    """IoU, accuracy … and share of the pixels of each class, and the means, as text."""
    class_names = list(map(printable, class_names))
    width = max(len("class"), *(len(name) for name in class_names))
    columns = {key: title for key, title in CLASS_FIGURES.items() if key in result}
    lines = [f"{'class':<{width}}  " + "  ".join(f"{title:>10}" for title in columns.values())]
    for number, name in enumerate(class_names):
        figures = (percent(result[key][number]) for key in columns)
        lines.append(f"{name:<{width}}  " + "  ".join(f"{figure:>10}" for figure in figures))
    absent = [name for name, iou in zip(class_names, result["iou"], strict=True) if math.isnan(iou)]
    if absent:
        lines.append(f"absent, and left out of the mean: {', '.join(absent)}")
    without = [
        name
        for name, iou, score in zip(class_names, result["iou"], result.get("boundary_f_scores", ()), strict=False)
        if math.isnan(score) and not math.isnan(iou)
    ]
    if without:
        lines.append(f"without boundaries, and left out of the mean boundary F-score: {', '.join(without)}")
    means = "   ".join(f"{title} {percent(result[key])}" for key, title in MEANS.items() if key in result)
    lines.append(f"{means}   ({result['images']} images)")
    return "\n".join(lines)


def percent(value: float) -> str:
    """0.5 -> "50.00%", NaN -> "-"."""
    return "-" if math.isnan(value) else f"{value:.2%}"


def _as_text(name):
    """A cell that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in FORMULA else name


def _cell(value):
    return "" if math.isnan(value) else f"{value:.6f}"
