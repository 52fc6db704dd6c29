"""HTML pages that stand alone: light and dark, nothing from elsewhere."""

import html
import os
import pathlib
import urllib.parse
from collections.abc import Iterable

from deeplab_ksac.errors import printable
from deeplab_ksac.figures import learning_curves
from deeplab_ksac.runs.history import Run

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
.numbers td:nth-child(4), .numbers td:nth-child(5), .numbers td:nth-child(6), td.number {
  text-align: right; font-variant-numeric: tabular-nums; }
small { opacity: .75; }
figure { display: inline-block; margin: .5rem; width: 32rem; max-width: 100%; }
figure.wide { display: block; width: auto; }
svg { width: 100%; height: auto; }
img { max-width: 100%; background: #fff; }
"""


def document(title: str, body: Iterable[str]) -> str:
    """A page from lines of HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}'
    head += f"</title><style>{STYLE}</style>"
    lines = "\n".join(body)
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n{lines}\n</body></html>\n'


def link(path: str | pathlib.PurePath) -> str:
    """The address of a file from a page, for an attribute: a relative path in which `#`, `?`, `%` … are encoded."""
    return html.escape(urllib.parse.quote(os.fsencode(pathlib.PurePath(path).as_posix())))


def curves(run: Run) -> str:
    """A run's loss and mIoU over its steps, as SVG."""
    return learning_curves.svg(run.curves, steps=max(run.all_steps, run.steps), title=printable(run.workdir))
