"""The command that caches features; what it writes is tested with the function."""

import numpy as np

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.runs.workdir import claim_workdir
from deeplab_ksac.scripts import cache_features
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training import tiny
from tests.scripts.parsing import command_line


def test_the_command_caches_the_levels_that_the_experiment_reads(tmp_path, capsys):
    data_dir = tiny.convert(tmp_path)
    claim_workdir(tmp_path, tiny.EXPERIMENT, load_info("tiny", data_dir))
    flags = [f"--config={tmp_path / 'experiment.json'}", f"--data_dir={data_dir}", "--name=kept", "--views=1"]
    with tiny_backbone_known(), command_line(cache_features, *flags) as given:
        assert cache_features.run(given) == 0
    assert "kept: 1 views of 10 pictures, c5 3x3x4, 0.00 GB" in capsys.readouterr().out
    assert np.fromfile(data_dir / "kept" / "c5.float16", np.float16).size == 10 * 3 * 3 * 4
    assert np.fromfile(data_dir / "kept" / "labels.uint8", np.uint8).size == 10 * 33 * 33
