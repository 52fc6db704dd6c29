"""The report: which run belongs to which row, and what is said where nothing was measured."""

import dataclasses
import json
import re
import types

import pytest

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments import EXPERIMENTS, TABLES
from deeplab_ksac.runs import pages
from deeplab_ksac.runs.comparison import Comparison, read_runs
from deeplab_ksac.scripts import report


def write_run(folder, experiment, *, evaluations=(), steps=0, name=None):
    """A workdir as training and evaluation leave it; evaluations are (mIoU, step, scales)."""
    workdir = folder / (name or experiment.name.replace(":", "_"))
    workdir.mkdir(parents=True)
    (workdir / "experiment.json").write_text(json.dumps(to_dict(experiment)))
    lines = [{"stage": 0, "step": step, "train/loss": 10 / step} for step in range(100, steps + 1, 100)]
    lines.append({"stage": 0, "step": steps, "eval/miou": 0.5})
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": 0, "st')
    dataset, split = experiment.evaluation.dataset.split("/")
    for index, (miou, step, scales) in enumerate(evaluations):
        content = {"dataset": dataset, "split": split, "step": step, "scales": scales, "flip": len(scales) > 1}
        (workdir / f"eval_{index}.json").write_text(json.dumps({**content, "miou": miou}))
    return workdir


@pytest.fixture
def runs(tmp_path):
    row = TABLES["4.1"].rows["R8"].experiment
    write_run(tmp_path, row, evaluations=[(0.5, 30_000, [1.0]), (0.52, 30_000, [0.5, 1.0])], steps=300)
    unfinished = TABLES["4.1"].rows["R1"].experiment
    write_run(tmp_path, unfinished, evaluations=[(0.3, 1000, [1.0])], steps=300)
    repeated = TABLES["3.1"].rows["R4"].experiment
    for seed, miou in enumerate((0.50, 0.52)):
        experiment = dataclasses.replace(repeated, seed=seed)
        write_run(tmp_path, experiment, evaluations=[(miou, 40_000, [1.0])], name=f"caa_{seed}")
    short = EXPERIMENTS["table_4_1:R2"]
    short = dataclasses.replace(short, stages=(dataclasses.replace(short.stages[0], steps=7),))
    write_run(tmp_path, short, evaluations=[(0.1, 7, [1.0])], name="<short> & overridden")
    return tmp_path


def entry(compared, number, label, kind="single scale"):
    (found,) = [e for e in compared.entries[number] if (e.label, e.kind) == (label, kind)]
    return found


def test_a_number_is_ours_only_where_the_row_was_trained_to_its_end(runs):
    compared = Comparison(TABLES.values(), read_runs([f"{runs}/*"]))
    assert entry(compared, "4.1", "R8").ours == 50.0
    assert entry(compared, "4.2", "R1").ours == entry(compared, "4.8", "R2_seed0").ours == 50.0
    assert entry(compared, "4.8", "R2_seed1").ours is None
    unfinished = entry(compared, "4.1", "R1")
    assert unfinished.ours is None and unfinished.state.startswith("unfinished, 30.00 after step 1,000")
    assert entry(compared, "4.1", "R2").state == "not run"
    assert entry(compared, "3.6", "R1", "MF").state == "quoted from another paper"
    assert entry(compared, "4.4", "R1", "GFLOPs").state == "counted by scripts/flops.py"
    repeated = entry(compared, "3.1", "R4")
    assert repeated.ours == pytest.approx(51) and repeated.spread == pytest.approx(2**0.5)
    assert [run.experiment.name for run in compared.others] == ["table_4_1:R2"]


def test_both_pages_say_the_same_and_are_whole(runs, tmp_path, capsys):
    output = tmp_path / "out"
    given = types.SimpleNamespace(runs=[f"{runs}/*_*", f"{runs}/<*"], tables=None, output=str(output))
    assert report.run(given) == 0
    assert re.match(r"\d+ of \d+ mIoUs of our own rows measured, from 5 runs", capsys.readouterr().out)
    markdown, html = ((output / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert "| R8 | + A + CAR | single scale | 50.50 | 50.00 | -0.50 | measured:" in markdown
    assert "<td>50.50</td><td>50.00</td><td>-0.50</td>" in html and "prefers-color-scheme: dark" in html
    assert "stages[0].steps: 30000 -&gt; 7" in html and "stages[0].steps: 30000 -> 7" in markdown
    assert "&lt;short&gt; &amp; overridden" in html and "<short>" not in html
    assert html.count("<svg") == len(list(output.glob("*.svg"))) == 5
    assert not re.search(r'(src|href)="(http|//)', html)
    for table in TABLES.values():
        assert f"Table {table.number}: " in markdown and f'id="{table.name}"' in html


def test_without_a_run_everything_is_said_to_be_open(tmp_path):
    compared = Comparison([TABLES["4.1"]], [])
    assert compared.summary == "0 of 16 mIoUs of our own rows measured, from 0 runs"
    assert pages.markdown(compared, {}).count("| not run |") == 16


@pytest.mark.parametrize(
    "runs, tables, words",
    (
        (["nowhere/*"], None, "'nowhere/*' names no workdir"),
        (None, ["5.1"], "there is no Table 5.1; the thesis has 2.1, 2.2"),
        (["broken"], None, "experiment.json is no JSON"),
        (["wrong"], None, "eval_0.json is no evaluation: it has no 'split'"),
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
