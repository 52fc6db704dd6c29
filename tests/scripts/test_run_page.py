"""The command for a run's page."""

import json
import types

import pytest

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.scripts import run_page
from tests.deeplab_ksac.training.tiny import EXPERIMENT


def test_the_page_is_written_into_the_folder(tmp_path, capsys):
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(EXPERIMENT)))
    assert run_page.run(types.SimpleNamespace(workdir=str(tmp_path))) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'index.html'}\n"
    assert (tmp_path / "index.html").read_text().startswith("<!doctype html>")


def test_the_script_refuses_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no experiment\.json"):
        run_page.run(types.SimpleNamespace(workdir=str(tmp_path)))
