"""Files of one's own beside an experiment's JSON."""

import dataclasses

from deeplab_ksac.experiment import part
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.import_paths import load_file
from deeplab_ksac.own_files import packed


def test_a_run_keeps_the_text_that_it_runs_when_the_file_is_edited_meanwhile(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class MyLoss:\n    pass\n")
    experiment = dataclasses.replace(EXPERIMENTS["scenes_ksac"], losses=(part(load_file(path).MyLoss),))
    path.write_text("class MyLoss:\n    weight = 2\n")
    fields, files = packed(experiment)
    assert fields["losses"][0]["name"] == "code/mine.py:MyLoss"
    assert files == {"code/mine.py": b"class MyLoss:\n    pass\n"}
