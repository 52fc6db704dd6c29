"""The records of `every_format` as text: a line each while they come, and the Markdown table of all."""

from collections.abc import Mapping, Sequence

COLUMNS = {
    ("saved_model", "saved_model"): "SavedModel, TensorFlow",
    ("onnx", "onnx"): "ONNX, ONNX Runtime",
    ("tflite", "tflite"): "TensorFlow Lite, tf.lite",
    ("tflite", "litert"): "TensorFlow Lite, LiteRT",
}
KINDS = {
    "backbone": "## Backbones, small, under the head `fcn`",
    "head": "## Heads, on a small ResNet-50",
    "whole": "## Backbones as they are, under the head `fcn`",
}
OPENING = """# Every architecture in every format

Written by `ksac formats --results=formats.json --output=docs/formats.md`; do not edit.

Each network was built with random weights, exported, and run in processes that have none of this project. A number is
the root mean square by which the probabilities differ from the model's, as a share of what is allowed (below 1 it
works); [evaluation.md](evaluation.md#export) says how much that is. Two sizes of images were run with each file, a
batch of two among them, unless the cell says "one size". The rates of `ksac` and `deeplabv3` reach beyond the maps of
these images.
"""


def summary(name: str, record: Mapping) -> str:
    """A record in one line."""
    if "failed" in record:
        return f"{name}: {record['failed']}"
    cells = [f"{form} {_size(record, form)}, {run_by} {_cell(record, form, run_by)}" for form, run_by in COLUMNS]
    return f"{name}: {'; '.join(cells)}"


def table(records: Mapping[str, Mapping], untried: Sequence[str] = ()) -> str:
    """The Markdown of all records, and the names of what was not tried."""
    parts, notes = [OPENING, _versions(records)], []
    for kind, title in KINDS.items():
        chosen = {name: record for name, record in records.items() if name.startswith(f"{kind}/")}
        if chosen:
            parts.append("\n".join([title, "", *_lines(chosen, notes)]) + "\n")
    if notes:
        parts.append("\n".join(["## What does not work, and why", "", *(f"- {note}" for note in notes)]) + "\n")
    else:
        parts.append("Everything that was tried works.\n")
    if untried:
        parts.append(f"Not tried yet: {', '.join(f'`{name}`' for name in untried)}.\n")
    return "\n".join(parts)


def _lines(records, notes):
    """The lines of one table; what did not work is added to the notes."""
    heads = list(COLUMNS.values())
    yield "| network | parameters | MB: SavedModel / ONNX / TFLite | " + " | ".join(heads) + " |"
    yield "|---|---|---|" + "---|" * len(heads)
    for name, record in records.items():
        short = name.partition("/")[2]
        if "failed" in record:
            notes.append(f"`{short}`: {record['failed']}")
            yield f"| {short} | | |" + " failed |" * len(heads)
            continue
        sizes = " / ".join(_size(record, form) for form in ("saved_model", "onnx", "tflite"))
        cells = " | ".join(_cell(record, form, run_by) for form, run_by in COLUMNS)
        notes.extend(f"`{short}`, {why}" for why in _reasons(record))
        yield f"| {short} | {record['parameters']:,} | {sizes} | {cells} |"


def _size(record, form):
    """Of the file in MB."""
    size = record["formats"][form].get("bytes")
    return "–" if size is None else f"{size / 1e6:.1f}"


def _cell(record, form, run_by):
    """What became of a file where it was run."""
    of_form = record["formats"][form]
    if run_by not in of_form:
        return "not run" if "sizes" in of_form else "not written"
    result = of_form[run_by]
    if "error" in result:
        return "fails"
    share = f"{result['difference'] / result['allowed']:.2g}"
    return share if of_form["sizes"] == "any" else f"{share}, one size"


def _reasons(record):
    """Why something did not work, a text each."""
    for (form, run_by), title in COLUMNS.items():
        of_form = record["formats"][form]
        if run_by in of_form and "error" in of_form[run_by]:
            yield f"{title}: {of_form[run_by]['error']}"
    for form, of_form in record["formats"].items():
        if of_form.get("refused"):
            what = "is not written" if "sizes" not in of_form else "is of one size alone"
            yield f"{form} {what}: {of_form['refused']}"


def _versions(records):
    """What the records were made with, once where all are the same."""
    found = dict.fromkeys(record["versions"] for record in records.values() if "versions" in record)
    return "\n".join(f"{line}." for line in found) + "\n"
