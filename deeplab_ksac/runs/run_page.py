"""One page for one training run: its evaluations, its learning curves and every figure that was drawn of it."""

import html
import os
from collections.abc import Iterator

from deeplab_ksac.errors import printable
from deeplab_ksac.runs import pages
from deeplab_ksac.runs.history import describe, read_run
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import remove_partial, write_whole

TITLES = {  # figure of `runs.figures`, with which the names of its files begin -> heading
    "predictions": "Predictions (Figs. 2.5, 3.6–3.9)",
    "branch_features": "What each atrous rate sees (Fig. 2.4)",
    "attention_conflict": "Conflicts of two attentions (Figs. 3.3, 3.4)",
    "attention": "Axial attention and its gates",
    "pixel_relation": "How similar pixels are (Figs. 4.4, 4.6, 4.7)",
    "class_dependency": "How classes depend on each other (Fig. 4.5)",
    "curves": "Curves",
    "confusion": "Confusion matrix",
}


def write_run_page(workdir: str | os.PathLike) -> Place:
    """Writes a run's page to <workdir>/index.html; its path.

    Raises:
        FileNotFoundError: the folder is no run's.
    """
    target = place(workdir) / "index.html"
    page = run_page(workdir)
    remove_partial(workdir, [target.name])
    write_whole(target, page)
    return target


def run_page(workdir: str | os.PathLike) -> str:
    """The page of a run as HTML, which links the pictures in the run's folder.

    Raises:
        FileNotFoundError: the folder is no run's.
    """
    workdir = place(workdir)
    found = read_run(workdir)
    name, folder = found.experiment.name, html.escape(printable(str(workdir)))
    body = [f"<h1>{html.escape(name)}</h1>", f"<p><code>{folder}</code>, {found.steps:,} steps</p>"]
    body += [line for evaluation in found.evaluations for line in _evaluation_lines(evaluation)]
    if found.curves:
        body += ["<h2>Learning curves</h2>", f"<figure>{pages.curves(found)}</figure>"]
    body += [line for title, pictures in pictures_of(workdir) for line in _picture_lines(workdir, title, pictures)]
    if len(body) == 2:
        body.append("<p>This run has no evaluations or figures yet.</p>")
    return pages.document(name, body)


def pictures_of(workdir: Place) -> Iterator[tuple[str, list[Place]]]:
    """(heading, pictures) of every kind of picture in a run's folder; there may be none of a kind."""
    evaluated = sorted(workdir.glob("eval_*.png"))
    matrices = [path for path in evaluated if path.stem.endswith("_confusion")]
    yield "Image, truth, prediction", [path for path in evaluated if path not in matrices]
    drawn = sorted((workdir / "figures").glob("*.png"))
    for kind, title in TITLES.items():
        # the longest name that fits: attention_conflict_… is no attention_…
        own = [path for path in drawn if kind == max(filter(path.stem.startswith, TITLES), key=len, default="")]
        yield title, [*matrices, *own] if kind == "confusion" else own


def _evaluation_lines(evaluation):
    """One evaluation: its means, and the IoU of each class where the file has them."""
    yield f"<h2>{html.escape(describe(evaluation))}</h2>"
    miou = evaluation["miou"]
    yield f"<p>mIoU <strong>{'—' if miou is None else f'{miou:.2%}'}</strong> at step {evaluation['step']:,}</p>"
    if "class_names" in evaluation and "iou" in evaluation:
        cells = [
            f'<tr><td>{html.escape(name)}</td><td class="number">{"absent" if iou is None else f"{iou:.2%}"}</td></tr>'
            for name, iou in zip(evaluation["class_names"], evaluation["iou"], strict=True)
        ]
        yield f"<div><table><tr><th>class</th><th>IoU</th></tr>{''.join(cells)}</table></div>"


def _picture_lines(workdir, title, pictures):
    """A heading and the pictures under it; nothing where there are none."""
    if pictures:
        yield f"<h2>{html.escape(title)}</h2>"
    for path in pictures:
        caption = html.escape(printable(path.stem))
        picture = f'<img src="{pages.link(path.relative_to(workdir))}" alt="{caption}" loading="lazy">'
        yield f'<figure class="wide">{picture}<figcaption>{caption}</figcaption></figure>'
