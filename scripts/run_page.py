"""Writes one page for a training run: its evaluations, learning curves and figures.

    python scripts/run_page.py --workdir=runs/camvid

Writes `<workdir>/index.html`, which links the pictures in the folder (`figures/*.png` of scripts/visualize.py,
`eval_*.png` of scripts/evaluate.py): it works from the file system, without a network.
"""

import html
import os
from pathlib import Path

from absl import flags

from deeplab_ksac.figures import learning_curves as curves
from deeplab_ksac.runs.comparison import read_run
from deeplab_ksac.runs.pages import document
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.whole_files import write_whole

TITLES = {
    "predictions": "Predictions (Figs. 2.5, 3.6–3.9)",
    "branch_features": "What each atrous rate sees (Fig. 2.4)",
    "attention_conflict": "Conflicts of two attentions (Figs. 3.3, 3.4)",
    "attention": "Axial attention and its gates",
    "pixel_relation": "How alike pixels are (Figs. 4.4, 4.6, 4.7)",
    "class_dependency": "How classes depend on each other (Fig. 4.5)",
    "curves": "Curves",
    "confusion": "Confusion matrix",
}


def define_flags():
    """Of which run."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)


def run(given):
    """Gathers what there is and writes the page.

    Raises:
        FileNotFoundError: the folder is no run's.
    """
    workdir = Path(given.workdir)
    target = workdir / "index.html"
    write_whole(target, page(workdir).encode())
    print(target)
    return 0


def page(workdir):
    """The page of a run, as HTML."""
    found = read_run(workdir)
    name = found.experiment.name
    body = [f"<h1>{html.escape(name)}</h1>", f"<p><code>{html.escape(str(workdir))}</code>, {found.steps:,} steps</p>"]
    body += [line for evaluation in found.evaluations for line in evaluation_lines(evaluation)]
    if found.curves:
        body += ["<h2>Learning curves</h2>", f"<figure>{curves.svg(found)}</figure>"]
    body += [line for title, pictures in gathered(workdir) for line in picture_lines(workdir, title, pictures)]
    if len(body) == 2:
        body.append("<p>Nothing was measured or drawn of this run yet.</p>")
    return document(name, body)


def evaluation_lines(evaluation):
    """One evaluation: its means, and the IoU of each class where the file has them."""
    marks = ", multi-scale and flip" if len(evaluation["scales"]) > 1 and evaluation["flip"] else ""
    yield f"<h2>{html.escape(evaluation['dataset'])}/{html.escape(evaluation['split'])}{marks}</h2>"
    miou = evaluation["miou"]
    yield f"<p>mIoU <strong>{'—' if miou is None else f'{miou:.2%}'}</strong> at step {evaluation['step']:,}</p>"
    if "class_names" in evaluation and "iou" in evaluation:
        cells = [
            f"<tr><td>{html.escape(name)}</td><td>{'absent' if iou is None else f'{iou:.2%}'}</td></tr>"
            for name, iou in zip(evaluation["class_names"], evaluation["iou"])
        ]
        yield f"<div><table><tr><th>class</th><th>IoU</th></tr>{''.join(cells)}</table></div>"


def gathered(workdir):
    """(heading, pictures) of every kind of figure that lies in the folder."""
    yield "Image, truth, prediction", sorted(workdir.glob("eval_*.png"))
    drawn = sorted((workdir / "figures").glob("*.png"))
    for kind, title in TITLES.items():
        # the longest name that fits: attention_conflict_… is no attention_…
        own = [
            path for path in drawn if kind == max((k for k in TITLES if path.stem.startswith(k)), key=len, default="")
        ]
        yield title, own


def picture_lines(workdir, title, pictures):
    """A heading and the pictures under it; nothing where there are none."""
    if pictures:
        yield f"<h2>{html.escape(title)}</h2>"
    for path in pictures:
        place = html.escape(Path(os.path.relpath(path, workdir)).as_posix())
        caption = html.escape(path.stem)
        picture = f'<img src="{place}" alt="{caption}" loading="lazy">'
        yield f'<figure class="wide">{picture}<figcaption>{caption}</figcaption></figure>'


if __name__ == "__main__":
    start("run_page", define_flags, run)
