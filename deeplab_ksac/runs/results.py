"""The figures of an evaluation as a file name, as JSON, as CSV and as a table."""

import csv
import io
import json
import math

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


def result_name(name, split, *, scales, flip, window, pad_to=None, average="logits"):
    """The stem of the result's files: eval_<name>_<split>, and what is not single-scale on the whole image.

    _ms for other scales than 1, _flip, _window<h>x<w>, _pad<h>x<w>, _probabilities.
    """
    marks = "_ms" * (tuple(scales) != (1.0,)) + "_flip" * bool(flip)
    marks += "" if window is None else "_window" + "x".join(map(str, window))
    marks += "" if pad_to is None else "_pad" + "x".join(map(str, pad_to))
    marks += "_probabilities" * (average == "probabilities")
    return f"eval_{name}_{split}{marks}"


def as_json(result, class_names, *, indent=1):
    """The result as the bytes of a JSON text; NaN (an absent class) becomes null."""

    def known(value):
        if isinstance(value, (list, tuple)):
            return [known(element) for element in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    content = {**{key: known(value) for key, value in result.items()}, "class_names": list(class_names)}
    return (json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(result, class_names):
    """A row for each class and one for the means, as the bytes of a CSV file; an absent class has empty cells."""
    columns = {key: title for key, title in CLASS_FIGURES.items() if key in result}
    means = {"iou": "miou", "accuracy": "mean_accuracy", "boundary_f_scores": "boundary_f_score"}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", *columns.values()])
    for number, name in enumerate(class_names):
        writer.writerow([name, *(_cell(result[key][number]) for key in columns)])
    writer.writerow(["mean", *(_cell(result[means[key]]) if key in means else "" for key in columns)])
    return stream.getvalue().encode()


def table(result, class_names):
    """IoU, accuracy … and share of the pixels of each class, and the means, as text."""
    width = max(len("class"), *(len(name) for name in class_names))
    columns = {key: title for key, title in CLASS_FIGURES.items() if key in result}
    lines = [f"{'class':<{width}}  " + "  ".join(f"{title:>10}" for title in columns.values())]
    for number, name in enumerate(class_names):
        figures = (percent(result[key][number]) for key in columns)
        lines.append(f"{name:<{width}}  " + "  ".join(f"{figure:>10}" for figure in figures))
    absent = [name for name, iou in zip(class_names, result["iou"]) if math.isnan(iou)]
    if absent:
        lines.append(f"absent, and left out of the mean: {', '.join(absent)}")
    without = [
        name
        for name, iou, score in zip(class_names, result["iou"], result.get("boundary_f_scores", ()))
        if math.isnan(score) and not math.isnan(iou)
    ]
    if without:
        lines.append(f"without boundaries, and left out of the mean boundary F-score: {', '.join(without)}")
    means = "   ".join(f"{title} {percent(result[key])}" for key, title in MEANS.items() if key in result)
    lines.append(f"{means}   ({result['images']} images)")
    return "\n".join(lines)


def percent(value):
    """0.5 -> "50.00%", NaN -> "-"."""
    return "-" if math.isnan(value) else f"{value:.2%}"


def _cell(value):
    return "" if math.isnan(value) else f"{value:.6f}"
