"""The command that compares by seed: tables of counts that a study left, and what it takes in their place."""

import numpy as np
import pytest

from deeplab_ksac.experiments.claims_on_pictures import STUDIES
from deeplab_ksac.runs import claims_pictures
from deeplab_ksac.runs import paired_study as runs_paired_study
from deeplab_ksac.runs.counts_files import write_study_counts
from deeplab_ksac.runs.paired_comparison import measures_of
from deeplab_ksac.runs.picture_measures import MEASURES, confusion
from deeplab_ksac.scripts import paired_study
from deeplab_ksac.training.interruption import RESTART_STATUS, RestartError
from tests.scripts.parsing import flags_of

CLASSES, PICTURES = 7, 12


def test_the_tables_are_computed_of_counts_alone(tmp_path, capsys):
    rng, study, counts = np.random.default_rng(0), STUDIES["ksac"], {}
    for variant in study.variants:
        counts[variant] = {}
        for name in measures_of(study, variant):
            kind = [CLASSES, CLASSES] if MEASURES[name].count is confusion else [3, CLASSES, 2]
            shape = [2, PICTURES, len(MEASURES[name].scales), *kind]
            counts[variant][name] = rng.integers(1, 50, shape)
    path = tmp_path / "ksac_counts.npz"
    write_study_counts(path, [0, 1], counts, [each.measure for each in study.comparisons.values()])
    assert paired_study.run(flags_of(paired_study, study="ksac", counts=str(path))) == 0
    printed = capsys.readouterr().out
    for name in study.comparisons:
        assert f"| {name}" in printed
    matrix = counts["aspp"]["overall"].sum(axis=(1, 2))
    right = np.diagonal(matrix, axis1=1, axis2=2)
    mean = 100 * np.mean(right / (matrix.sum(axis=1) + matrix.sum(axis=2) - right))
    (overall,) = (line for line in printed.splitlines() if line.startswith("| overall |"))
    assert overall.split("|")[3].strip().startswith(f"{mean:.2f} ±")
    with pytest.raises(ValueError, match="does not hold the counts of this study"):
        paired_study.run(flags_of(paired_study, study="caa", counts=str(path)))


def test_a_study_that_was_asked_to_stop_says_so_in_one_line(monkeypatch, tmp_path, capsys):
    def stopped(*arguments, **options):
        raise RestartError("stopped on request after step 3; its checkpoint is saved")

    monkeypatch.setattr(claims_pictures, "select_pictures", lambda *arguments, **options: None)
    monkeypatch.setattr(runs_paired_study, "run_study", stopped)
    given = flags_of(paired_study, study="ksac", data_dir=str(tmp_path), workdir=str(tmp_path))
    assert paired_study.run(given) == RESTART_STATUS
    words = "paired_study: stopped on request after step 3; its checkpoint is saved; the same command continues"
    assert capsys.readouterr().err.splitlines()[-1] == words


def test_pictures_or_counts_have_to_be_there():
    with pytest.raises(ValueError, match="give --data_dir and --workdir, or the --counts that a study left"):
        paired_study.run(flags_of(paired_study, study="ksac", workdir="runs"))
