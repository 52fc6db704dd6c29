"""The report command: both pages and the curves are written, and what is no run is named."""

import re
import types

import pytest

from deeplab_ksac.experiments import EXPERIMENTS, TABLES
from deeplab_ksac.scripts import report
from tests.deeplab_ksac.runs.workdirs import write_run, write_runs


@pytest.fixture
def runs(tmp_path):
    return write_runs(tmp_path)


def test_both_pages_say_the_same_and_are_whole(runs, tmp_path, capsys):
    output = tmp_path / "out"
    given = types.SimpleNamespace(runs=[f"{runs}/*_*", f"{runs}/<*"], tables=None, output=str(output))
    assert report.run(given) == 0
    assert re.match(r"\d+ of \d+ mIoUs of runnable rows measured, from 5 runs", capsys.readouterr().out)
    markdown, html = ((output / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert "| R8 | + A + CAR | single scale | 50.50 | 50.00 | -0.50 | measured:" in markdown
    assert "<td>50.50</td><td>50.00</td><td>-0.50</td>" in html and "prefers-color-scheme: dark" in html
    assert "stages[0].steps: 30000 -&gt; 7" in html and "stages[0].steps: 30000 -> 7" in markdown
    assert "&lt;short&gt; &amp; overridden" in html and "<short>" not in html
    assert html.count("<svg") == len(list(output.glob("*.svg"))) == 5
    assert not re.search(r'(src|href)="(http|//)', html)
    for table in TABLES.values():
        assert f"Table {table.number}: " in markdown and f'id="{table.name}"' in html


@pytest.mark.parametrize(
    "runs, tables, words",
    (
        (["nowhere/*"], None, "'nowhere/*' matches no workdir"),
        (None, ["5.1"], "the thesis has no Table 5.1; it has 2.1, 2.2"),
        (["broken"], None, "experiment.json is not valid JSON"),
        (["wrong"], None, "eval_0.json is not an evaluation: it has no 'split'"),
    ),
)
def test_what_is_no_run_is_named(runs, tables, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "experiment.json").write_text("{")
    wrong = write_run(tmp_path, EXPERIMENTS["scenes_ksac"], name="wrong")
    (wrong / "eval_0.json").write_text('{"dataset": "scenes"}')
    with pytest.raises(ValueError, match=re.escape(words)):
        report.run(types.SimpleNamespace(runs=runs, tables=tables, output="out"))
    assert not (tmp_path / "out").exists()
