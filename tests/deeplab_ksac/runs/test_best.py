"""The best checkpoint of a run: which it is, and that it is there at any moment, whatever ends the work on it."""

import json
import logging
import math
import os
import shutil
import sys

import pytest

from deeplab_ksac.json_files import DamagedFileError
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import Best, best_dir, best_path, keep_if_best, read_best, remove_leftovers
from deeplab_ksac.runs.checkpoints import LostCheckpointsError, checkpoint_path, prepare_stages
from deeplab_ksac.runs.places import checkpoint_number, stage_dir


def saved(workdir, stage, step):
    """The prefix of a sealed checkpoint, whose files say which it is."""
    folder = stage_dir(workdir, stage)
    folder.mkdir(exist_ok=True)
    prefix = seals.checkpoint_prefix(folder, step)
    for ending in (".index", ".data-00000-of-00001"):
        with open(prefix + ending, "w") as stream:
            stream.write(f"{stage} {step}{ending}")
    seals.seal(prefix)
    return prefix


def keep(workdir, stage, step, miou):
    saved(workdir, stage, step)
    keep_if_best(workdir, stage, step, {"miou": miou, "images": 3})


def kept(workdir):
    """(stage, step) of the recorded best, which is whole and holds what was saved then; nothing else is there."""
    best = read_best(workdir)
    prefix = best_path(workdir)
    assert seals.damage(prefix) is None and checkpoint_number(prefix) == (best.stage, best.step)
    with open(f"{prefix}.index") as stream:
        assert stream.read() == f"{best.stage} {best.step}.index"
    return best.stage, best.step


def files(workdir):
    return sorted(str(path.relative_to(best_dir(workdir))) for path in best_dir(workdir).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("evaluations", "expected"),
    (
        ([(0, 1, 0.1)], (0, 1)),
        ([(0, 1, 0.1), (0, 2, 0.3), (0, 3, 0.2)], (0, 2)),
        ([(0, 1, 0.2), (0, 2, 0.2)], (0, 1)),  # of equal ones the earlier
        ([(0, 1, 0.0), (0, 2, 0.0)], (0, 1)),
        ([(0, 1, 0.1), (0, 2, math.nan)], (0, 1)),
        ([(0, 1, math.nan), (0, 2, 0.1)], (0, 2)),
        ([(0, 2, 0.9), (1, 2, 0.1)], (1, 2)),  # a stage is not compared with the one before, also at an equal step
        ([(0, 2, 0.9), (1, 1, 0.1), (1, 2, 0.2)], (1, 2)),
        ([(1, 1, 0.1), (0, 2, 0.9)], (1, 1)),  # the end of an earlier stage, whose newest checkpoint was damaged
    ),
)
def test_the_best_is_that_of_the_last_stage_and_of_equal_ones_the_earliest(evaluations, expected, tmp_path):
    for evaluation in evaluations:
        keep(tmp_path, *evaluation)
    assert kept(tmp_path) == expected
    (miou,) = {miou for *number, miou in evaluations if tuple(number) == expected}
    assert read_best(tmp_path) == Best(*expected, miou, 3)
    name = "stage_{}/ckpt-{}".format(*expected)
    assert files(tmp_path) == ["best.json", *(f"{name}{end}" for end in (".data-00000-of-00001", ".index", ".seal"))]


def test_the_best_is_not_lost_with_the_checkpoint_it_was_made_from(tmp_path):
    keep(tmp_path, 0, 1, 0.5)
    seals.remove(seals.checkpoint_prefix(stage_dir(tmp_path, 0), 1))
    assert kept(tmp_path) == (0, 1)
    keep_if_best(tmp_path, 0, 1, {"miou": 0.7, "images": 3})  # a run that goes on from before comes by again
    assert kept(tmp_path) == (0, 1) and read_best(tmp_path).miou == 0.5


class KilledError(BaseException):
    pass


class Kill:
    """Ends the process's work before its file operation number `left` in a folder, and lets none happen after that."""

    WRITES = os.O_WRONLY | os.O_RDWR
    OPERATIONS = ("os.link", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.copyfile")

    def __init__(self):
        self.folder, self.left = None, 0

    def __call__(self, event, arguments):
        if self.folder is None or not (event in self.OPERATIONS or (event == "open" and self._writes(arguments))):
            return
        if any(self.folder in str(argument) for argument in arguments[:2]):
            if not self.left:
                raise KilledError
            self.left -= 1

    def _writes(self, arguments):
        return bool((arguments[2] or 0) & self.WRITES)


KILL = Kill()
sys.addaudithook(KILL)  # it stays for the life of the process


def killed_before(operation, work, workdir, *arguments, **options):
    """Whether work on a run's folder was killed before so many operations in it."""
    KILL.folder, KILL.left = str(workdir), operation
    try:
        work(workdir, *arguments, **options)
    except KilledError:
        return True
    finally:
        KILL.folder = None
    return False


def no_links(*_, **__):
    raise PermissionError("this file system has no links")


@pytest.mark.parametrize("links", (True, False))
@pytest.mark.parametrize("before", (None, (0, 1), (0, 4), (1, 1)))
def test_a_kill_before_any_file_operation_leaves_the_old_best_or_the_new_one(before, links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    new = {"miou": 0.8, "images": 3}
    for operation in range(100):
        run = tmp_path / str(operation)
        run.mkdir()
        if before is not None:
            keep(run, *before, 0.5)
        saved(run, 1, 4)
        killed = killed_before(operation, keep_if_best, run, 1, 4, new)
        if before is None and read_best(run) is None:
            with pytest.raises(FileNotFoundError, match="has no best checkpoint"):
                best_path(run)
        else:
            assert kept(run) in ((1, 4), before)
        remove_leftovers(run)  # as the next start does
        assert len(files(run)) in ((4,) if before is not None else (0, 4))
        keep_if_best(run, 1, 4, new)  # as the evaluation does, which was not logged
        assert kept(run) == (1, 4) and len(files(run)) == 4
        assert sorted(path.name for path in best_dir(run).iterdir()) == ["best.json", "stage_1"]
        if not killed:
            break
        shutil.rmtree(run)
    assert operation > 5


def test_a_best_that_cannot_be_kept_is_one_line_and_the_one_before_stays(tmp_path, monkeypatch):
    keep(tmp_path, 0, 1, 0.5)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match=r"best checkpoint, that of step 2, cannot be kept in .*best .*No space") as error:
        keep(tmp_path, 0, 2, 0.6)
    assert "\n" not in str(error.value) and kept(tmp_path) == (0, 1)


def test_a_damaged_best_is_left_out_with_a_line_and_the_next_one_is_taken(tmp_path, caplog):
    record = best_dir(tmp_path) / "best.json"
    for harm, words in (
        (lambda: record.write_text("{"), "is not valid JSON"),
        (lambda: record.write_text('{"stage": 0, "step": 1, "miou": 7, "images": 3}'), "has 7 as 'miou'"),
        (lambda: os.unlink(f"{read_best(tmp_path).prefix(tmp_path)}.index"), "was sealed with"),
    ):
        keep(tmp_path, 0, 1, 0.9)
        harm()
        with pytest.raises((DamagedFileError, FileNotFoundError), match=words) as error:
            checkpoint_path(tmp_path, "best")
        assert "\n" not in str(error.value)
        prepare_stages(tmp_path, 1)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            keep(tmp_path, 0, 2, 0.1)
        assert words in caplog.text and kept(tmp_path) == (0, 2)
        shutil.rmtree(best_dir(tmp_path))


@pytest.mark.parametrize(
    ("lines", "words"),
    (
        ([], "no evaluation during its training is logged"),
        ([{"train/loss": 1.0}], "no evaluation during its training is logged"),
        ([{"eval/miou": None}], "no evaluation had a labeled pixel"),
        ([{"eval/miou": 0.5}], "it was trained before one was kept"),
    ),
)
def test_a_run_without_a_best_says_why(lines, words, tmp_path):
    saved(tmp_path, 0, 3)
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"stage": 0, "step": 3, **x}) + "\n" for x in lines))
    with pytest.raises(FileNotFoundError, match=f"has no best checkpoint, since {words}; take the newest one"):
        checkpoint_path(tmp_path, "best")
    assert checkpoint_path(tmp_path).endswith("ckpt-3")


def test_a_checkpoint_is_chosen_by_word_or_step(tmp_path):
    keep(tmp_path, 0, 1, 0.5)
    keep(tmp_path, 1, 4, 0.2)
    saved(tmp_path, 1, 5)
    assert checkpoint_path(tmp_path) == checkpoint_path(tmp_path, "newest") == str(tmp_path / "stage_1/ckpt-5")
    assert checkpoint_path(tmp_path, "best") == str(tmp_path / "best/stage_1/ckpt-4")
    assert checkpoint_path(tmp_path, 4) == str(tmp_path / "stage_1/ckpt-4")
    assert checkpoint_path(tmp_path, "best", stage=1) == checkpoint_path(tmp_path, "best")
    with pytest.raises(FileNotFoundError, match="is of stage 1, not of stage 0"):
        checkpoint_path(tmp_path, "best", stage=0)
    for wrong in ("bset", -1, 1.5, None, True, "4"):
        with pytest.raises(ValueError, match="checkpoint must be 'newest', 'best' or a number of steps, not"):
            checkpoint_path(tmp_path, wrong)


@pytest.mark.parametrize(("stage_of_best", "aside"), ((0, False), (1, True)))
def test_starting_over_sets_aside_a_best_of_what_is_begun_again(stage_of_best, aside, tmp_path):
    saved(tmp_path, 0, 4)
    if stage_of_best:
        saved(tmp_path, 1, 3)
    keep(tmp_path, stage_of_best, 4, 0.5)
    for path in stage_dir(tmp_path, 1).glob("ckpt-*.index"):
        path.unlink()
    prepare_stages(tmp_path, 2, start_over=True)
    assert best_dir(tmp_path).exists() != aside
    assert (best_dir(tmp_path / "set_aside_1") / "best.json").exists() == aside
    assert kept(tmp_path / "set_aside_1" if aside else tmp_path) == (stage_of_best, 4)
    prepare_stages(tmp_path, 2)  # nothing is lost any more


def test_a_kill_while_a_best_is_set_aside_loses_nothing(tmp_path):
    for operation in range(100):
        run = tmp_path / str(operation)
        run.mkdir()
        for stage, step in ((0, 4), (1, 2), (1, 4)):
            keep(run, stage, step, 0.5)
        for path in run.glob("stage_*/*.index"):
            path.unlink()
        killed = killed_before(operation, prepare_stages, run, 2, start_over=True)
        prepare_stages(run, 2, start_over=True)
        assert not best_dir(run).exists() and not list(run.glob("stage_*"))
        assert [kept(place) for place in run.glob("set_aside_*") if best_dir(place).exists()] == [(1, 2)]
        assert len(list(run.glob("set_aside_*/stage_*"))) == 2
        if not killed:
            break
    assert operation > 3


def test_a_best_says_that_its_stage_was_begun(tmp_path):
    keep(tmp_path, 0, 4, 0.5)
    shutil.rmtree(stage_dir(tmp_path, 0))
    with pytest.raises(LostCheckpointsError, match="--start_over"):
        prepare_stages(tmp_path, 1)
    assert kept(tmp_path) == (0, 4)
