"""The report: the thesis's tables beside what was measured, as Markdown and as one HTML page, with learning curves."""

import html
import math
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from deeplab_ksac.errors import printable
from deeplab_ksac.experiment import Table
from deeplab_ksac.runs import pages
from deeplab_ksac.runs.comparison import MIOU_KINDS, Comparison, Entry, overridden
from deeplab_ksac.runs.history import Run, describe
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import remove_partial, write_whole

HEADINGS = ("row", "method", "what", "thesis", "ours", "difference", "state")
LONGEST_NAME = 40  # characters of a run's in that of a file
TITLE = "The thesis's tables and our results"
INTRODUCTION = (
    "mIoU in percent. A number under “ours” comes from a run whose model, training and seed are the row's and which "
    "was trained to its last step; “not run”: nothing of it was trained here. Of a run's evaluations the one with the "
    "row's own scales, flip, window and padding counts, and each run counts once: “±” is the standard deviation of "
    "several runs. The backbone of a run that started from published weights may differ in what these determine; the "
    "state then says so. The thesis's numbers are its text's."
)


def write_report(compared: Comparison, folder: str | os.PathLike) -> tuple[Place, Place]:
    """Writes report.md, report.html and an SVG of each run's curves into a folder; the paths of the first two."""
    folder = place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {run.workdir: pages.curves(run) for run in compared.runs if run.curves}
    files = {workdir: f"curve_{index:03}_{_short(workdir)}.svg" for index, workdir in enumerate(drawn)}
    targets = folder / "report.md", folder / "report.html"
    remove_partial(folder, [*files.values(), *(target.name for target in targets)])
    for workdir, picture in drawn.items():
        write_whole(folder / files[workdir], picture)
    for target, text in zip(targets, (as_markdown(compared, files), as_html(compared, drawn)), strict=True):
        write_whole(target, text)
    return targets


def cells(entry: Entry) -> tuple[str, ...]:
    """The texts of an entry, by `HEADINGS`."""
    spread = "" if entry.spread is None else f" ± {entry.spread:.2f}"
    ours = "" if entry.ours is None else f"{entry.ours:.2f}{spread}"
    difference = "" if None in (entry.ours, entry.thesis) else f"{entry.ours - entry.thesis:+.2f}"
    return (entry.label, entry.row.method, entry.kind, _thesis(entry), ours, difference, entry.state)


def _thesis(entry):
    if entry.thesis is None:
        return "—"
    deviation = entry.row.deviation
    spread = f" ± {deviation:g}" if deviation is not None and entry.kind in MIOU_KINDS else ""
    places = 2 if math.isclose(entry.thesis, round(entry.thesis, 2)) else 5  # Table 3.1 adds less than 0.001 GFLOPs
    return f"{entry.thesis:.{places}f}{spread}"


def notes(table: Table) -> list[str]:
    """What a table's rows say besides, each note once with the rows it belongs to."""
    rows = {}
    for label, row in table.rows.items():
        if row.note:
            rows.setdefault(row.note, []).append(label)
    return [f"{', '.join(labels)}: {note}" for note, labels in rows.items()]


def other_runs(compared: Comparison) -> Iterator[tuple[Run, list[str], list[str]]]:
    """(run, its figures, what differs from the experiment it is named after) of the runs that are no table's."""
    for run in compared.others:
        figures = [
            f"{100 * evaluation['miou']:.2f} on {describe(evaluation)} at step {evaluation['step']:,}"
            for evaluation in run.evaluations
            if evaluation["miou"] is not None
        ]
        yield run, figures or ["not evaluated"], overridden(run)


def as_markdown(compared: Comparison, files: Mapping[str, str]) -> str:
    """The report as Markdown.

    Args:
        compared: what is reported.
        files: {workdir: file of its curves}, beside the report.
    """
    lines = [f"# {TITLE}", "", INTRODUCTION, "", f"**{compared.summary}.**", ""]
    for table in compared.tables:
        lines += [f"## Table {table.number}: {escaped(table.title)}", "", _row(HEADINGS), _row(["---"] * len(HEADINGS))]
        lines += [_row(map(escaped, cells(entry))) for entry in compared.entries[table.number]]
        lines += ["", *(f"- {escaped(note)}" for note in [table.protocol, *notes(table)] if note), ""]
    lines += ["## Other runs", ""]
    for run, figures, changes in other_runs(compared):
        changed = f" Differs from the experiment: {escaped('; '.join(changes))}." if changes else ""
        lines.append(f"- {_name(run)}: {escaped('; '.join(figures))}.{changed}")
    lines += ["" if compared.others else "None.", "## Learning curves", ""]
    drawn = [run for run in compared.runs if run.workdir in files]
    lines += [f"{_name(run)}: ![curves]({urllib.parse.quote(files[run.workdir])})\n" for run in drawn] or ["None."]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """A text that Markdown shows as it is, in one line: no markup of HTML, code, emphasis, links or tables."""
    text = printable(" ".join(text.split())).replace("\\", "\\\\")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
    for mark in "`*|":
        text = text.replace(mark, f"\\{mark}")
    return text


def _name(run):
    return escaped(f"{run.experiment.name} ({run.workdir})")


def _short(workdir):
    """The beginning of a folder's name, to which something can be added in a file's."""
    return printable(place(workdir).name)[:LONGEST_NAME]


def _as_html(text):
    return html.escape(printable(text))


def _row(texts: Sequence[str]):
    return f"| {' | '.join(texts)} |"


def as_html(compared: Comparison, pictures: Mapping[str, str]) -> str:
    """The report as a page; `pictures` is {workdir: SVG of its curves}."""
    body = [f"<h1>{TITLE}</h1>", f"<p>{INTRODUCTION}</p>", f"<p><strong>{_as_html(compared.summary)}.</strong></p>"]
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    for table in compared.tables:
        body.append(f'<h2 id="{table.name}">Table {table.number}: {_as_html(table.title)}</h2>')
        body.append(f'<div><table class="numbers"><tr>{head}</tr>')
        for entry in compared.entries[table.number]:
            body.append(f"<tr>{''.join(f'<td>{_as_html(text)}</td>' for text in cells(entry))}</tr>")
        body.append("</table></div>")
        body += [f"<p><small>{_as_html(note)}</small></p>" for note in [table.protocol, *notes(table)] if note]
    body.append("<h2>Other runs</h2><ul>")
    for run, figures, changes in other_runs(compared):
        changed = f"<br><small>Differs from the experiment: {_as_html('; '.join(changes))}</small>" if changes else ""
        name = f"<code>{_as_html(run.experiment.name)}</code> ({_as_html(run.workdir)})"
        body.append(f"<li>{name}: {_as_html('; '.join(figures))}{changed}</li>")
    body.append("</ul>" if compared.others else "<li>None.</li></ul>")
    body.append("<h2>Learning curves</h2>")
    for run in compared.runs:
        if run.workdir in pictures:
            name = _as_html(f"{run.experiment.name} ({run.workdir})")
            body.append(f"<figure>{pictures[run.workdir]}<figcaption>{name}</figcaption></figure>")
    return pages.document(TITLE, body)
