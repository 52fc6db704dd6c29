"""The report's pages."""

import dataclasses
import os
import re
import urllib.parse
from xml.etree import ElementTree

from deeplab_ksac.experiments import EXPERIMENTS, TABLES
from deeplab_ksac.runs import report
from deeplab_ksac.runs.comparison import Comparison
from deeplab_ksac.runs.history import read_runs
from tests.deeplab_ksac.runs.workdirs import write_run


def test_without_a_run_everything_is_said_to_be_open(tmp_path):
    compared = Comparison([TABLES["4.1"]], [])
    assert compared.summary == "0 of 16 mIoUs of runnable rows measured, from 0 runs"
    assert report.as_markdown(compared, {}).count("| not run |") == 16


def test_markdown_shows_names_as_they_are(tmp_path):
    name = "<b>&amp; `code` *bold* a|b [x](y) # heading"
    write_run(tmp_path, dataclasses.replace(EXPERIMENTS["scenes_ksac"], name=name), name="run")
    text = report.as_markdown(Comparison([], read_runs([f"{tmp_path}/*"])), {})
    (line,) = [line for line in text.splitlines() if "heading" in line]
    assert line.startswith(r"- &lt;b>&amp;amp; \`code\` \*bold\* a\|b [x]\(y) # heading (")


def test_a_cell_of_a_table_stays_one_cell():
    row = dataclasses.replace(TABLES["4.1"].rows["R1"], method="a | b\n`c`", note="<i>\nnote")
    table = dataclasses.replace(TABLES["4.1"], rows={"R1": row}, title="A\n<title>", protocol="x\n# y")
    text = report.as_markdown(Comparison([table], []), {})
    assert r"| R1 | a \| b \`c\` | single scale | 48.32 |  |  | not run |" in text.splitlines()
    assert "- R1: &lt;i> note" in text and "- x # y" in text and "## Table 4.1: A &lt;title>" in text


def test_links_to_the_curves_lead_to_their_files(tmp_path):
    write_run(tmp_path / "runs", EXPERIMENTS["scenes_ksac"], steps=100, name="50% #1? (a b)")
    compared = Comparison([], read_runs([f"{tmp_path}/runs/*"]))
    markdown, _ = report.write_report(compared, tmp_path / "out")
    (target,) = re.findall(r"!\[curves\]\(([^ )]+)\)", markdown.read_text())
    assert not set("#?") & set(target)
    assert (tmp_path / "out" / urllib.parse.unquote(target)).is_file()


def test_flops_are_shown_with_the_digits_that_tell_them_apart():
    compared = Comparison([TABLES["3.1"], TABLES["2.1"]], [])
    shown = [report.cells(e)[3] for e in compared.entries["3.1"] if e.kind == "GFLOPs"]
    assert shown[:4] == ["68.70", "68.70024", "68.70027", "68.70030"]  # 68.7, and by the table +0.00024 …
    assert report.cells(compared.entries["2.1"][0])[3] == "39.94"
    assert next(report.cells(e)[3] for e in compared.entries["3.1"] if e.kind == "single scale") == "50.27 ± 0.2"


def test_a_run_of_any_name_is_reported(tmp_path):
    names = ("x" * 250, "ü" * 120, "a\x1b\nb", os.fsdecode(b"\xff run"))
    for name in names:
        write_run(tmp_path / "runs", EXPERIMENTS["scenes_ksac"], steps=100, name=name)
    compared = Comparison([], read_runs([f"{tmp_path}/runs/*"]))
    markdown, page = report.write_report(compared, tmp_path / "out")
    targets = re.findall(r"!\[curves\]\(([^ )]+)\)", markdown.read_text(encoding="utf-8"))
    assert len(targets) == len(names)
    for target in targets:
        ElementTree.parse(tmp_path / "out" / urllib.parse.unquote(target))
    assert r"\xff run" not in page.read_text(encoding="utf-8") and r"\udcff run" in page.read_text(encoding="utf-8")
