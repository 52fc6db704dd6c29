"""The report's two forms: Markdown, and one HTML page without anything from elsewhere."""

import html as markup

from deeplab_ksac.runs.comparison import overridden

HEADINGS = ("row", "method", "what", "thesis", "ours", "difference", "state")
TITLE = "The thesis's tables beside what was measured"
INTRODUCTION = (
    "mIoU in percent. A number under “ours” comes from a run whose model, training and seed are the row's and which "
    "was trained to its last step; “not run”: nothing of it was trained here. The thesis's numbers are its text's."
)
STYLE = """
:root { color-scheme: light dark; --loss: #3b6fb6; --miou: #c2571a; --line: #d5d5d5; --back: #fff; --fore: #1c1c1c; }
@media (prefers-color-scheme: dark) {
  :root { --loss: #7fb0f0; --miou: #f0a060; --line: #444; --back: #161616; --fore: #e4e4e4; }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
  background: var(--back); color: var(--fore); }
div { overflow-x: auto; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid var(--line); padding: .2rem .7rem; text-align: left; vertical-align: top; }
td:nth-child(4), td:nth-child(5), td:nth-child(6) { text-align: right; font-variant-numeric: tabular-nums; }
small { opacity: .75; }
figure { display: inline-block; margin: .5rem; width: 32rem; max-width: 100%; }
figure.wide { display: block; width: auto; }
img { max-width: 100%; background: #fff; }
"""


def cells(entry):
    """The texts of an entry, by `HEADINGS`."""
    spread = "" if entry.spread is None else f" ± {entry.spread:.2f}"
    ours = "" if entry.ours is None else f"{entry.ours:.2f}{spread}"
    difference = "" if None in (entry.ours, entry.thesis) else f"{entry.ours - entry.thesis:+.2f}"
    return (entry.label, entry.row.method, entry.kind, _thesis(entry), ours, difference, entry.state)


def _thesis(entry):
    if entry.thesis is None:
        return "—"
    places = 5 if entry.kind == "GFLOPs" and entry.row.source.startswith("Table 3.1,") else 2
    deviation = entry.row.deviation
    spread = f" ± {deviation:g}" if deviation is not None and not entry.kind.startswith("GFLOPs") else ""
    return f"{entry.thesis:.{places}f}{spread}"


def notes(table):
    """What a table's rows say besides, each note once with the rows it belongs to."""
    rows = {}
    for label, row in table.rows.items():
        if row.note:
            rows.setdefault(row.note, []).append(label)
    return [f"{', '.join(labels)}: {note}" for note, labels in rows.items()]


def other_runs(compared):
    """(run, its figures, what differs from the experiment it is named after) of the runs that are no table's."""
    for run in compared.others:
        figures = [
            f"{100 * e['miou']:.2f} on {e['dataset']}/{e['split']}"
            f"{', MF' if len(e['scales']) > 1 and e['flip'] else ''} at step {e['step']:,}"
            for e in run.evaluations
            if e["miou"] is not None
        ]
        yield run, figures or ["not evaluated"], overridden(run)


def markdown(compared, files):
    """The report as Markdown.

    Args:
        compared: the `Comparison`.
        files: {workdir: file of its curves}, beside the report.
    """
    lines = [f"# {TITLE}", "", INTRODUCTION, "", f"**{compared.summary}.**", ""]
    for table in compared.tables:
        lines += [f"## Table {table.number}: {table.title}", "", _row(HEADINGS), _row(["---"] * len(HEADINGS))]
        lines += [_row(cells(entry)) for entry in compared.entries[table.number]]
        lines += ["", *(f"- {note}" for note in [table.protocol, *notes(table)] if note), ""]
    lines += ["## Other runs", ""]
    for run, figures, changes in other_runs(compared):
        changed = f" Differs from the experiment: {'; '.join(changes)}." if changes else ""
        lines.append(f"- `{run.experiment.name}` ({run.workdir}): {'; '.join(figures)}.{changed}")
    lines += ["" if compared.others else "None.", "## Learning curves", ""]
    lines += [f"{run.experiment.name} ({run.workdir}): ![curves]({files[run.workdir]})\n"
              for run in compared.runs if run.workdir in files] or ["None."]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _row(texts):
    return f"| {' | '.join(text.replace('|', '∣') for text in texts)} |"


def html(compared, pictures):
    """The report as a page; `pictures` is {workdir: SVG of its curves}."""
    escape = markup.escape
    body = [f"<h1>{TITLE}</h1>", f"<p>{INTRODUCTION}</p>", f"<p><strong>{escape(compared.summary)}.</strong></p>"]
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    for table in compared.tables:
        body.append(f'<h2 id="{table.name}">Table {table.number}: {escape(table.title)}</h2>')
        body.append(f"<div><table><tr>{head}</tr>")
        for entry in compared.entries[table.number]:
            body.append(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in cells(entry))}</tr>")
        body.append("</table></div>")
        body += [f"<p><small>{escape(note)}</small></p>" for note in [table.protocol, *notes(table)] if note]
    body.append("<h2>Other runs</h2><ul>")
    for run, figures, changes in other_runs(compared):
        changed = f"<br><small>Differs from the experiment: {escape('; '.join(changes))}</small>" if changes else ""
        name = f"<code>{escape(run.experiment.name)}</code> ({escape(run.workdir)})"
        body.append(f"<li>{name}: {escape('; '.join(figures))}{changed}</li>")
    body.append("</ul>" if compared.others else "<li>None.</li></ul>")
    body.append("<h2>Learning curves</h2>")
    for run in compared.runs:
        if run.workdir in pictures:
            name = escape(f"{run.experiment.name} ({run.workdir})")
            body.append(f"<figure>{pictures[run.workdir]}<figcaption>{name}</figcaption></figure>")
    return document(TITLE, body)


def document(title, body):
    """A page of its own, light and dark, from lines of HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{markup.escape(title)}'
    head += "</title>"
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>\n' + (
        "\n".join(body) + "\n</body></html>\n"
    )
