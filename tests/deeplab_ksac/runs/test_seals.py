"""Checkpoints count only while they are whole, and a failed save leaves those before it as they were."""

import logging
import pathlib
import resource
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.checkpoints import StageCheckpoints, checkpoint_path


class Saved:
    """A stage's checkpoints of a small model whose weights are the step."""

    def __init__(self, workdir, width=4, keep=2):
        self.model = keras.Sequential([keras.layers.Dense(width, input_shape=(300,))])
        self.optimizer = tf.Module()
        self.checkpoints = StageCheckpoints(
            workdir, 0, self.model, self.optimizer, strategy=tf.distribute.get_strategy(), keep=keep
        )
        self.folder = workdir / "stage_0"

    def save(self, *steps):
        for step in steps:
            self.model.set_weights([np.full_like(weight, step) for weight in self.model.get_weights()])
            self.checkpoints.save(step)

    def restored(self):
        """The step that a resumed run goes on from; the weights are those of that step."""
        step = self.checkpoints.restore()
        if step:
            assert all((weight == step).all() for weight in self.model.get_weights())
        return step


def data_file(folder, step):
    return folder / f"ckpt-{step}.data-00000-of-00001"


def truncate(folder):
    path = data_file(folder, 20)
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder):
    path = data_file(folder, 20)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_the_index(folder):
    (folder / "ckpt-20.index").unlink()


def lose_the_seal(folder):
    (folder / "ckpt-20.seal").unlink()


def spoil_the_seal(folder):
    (folder / "ckpt-20.seal").write_text("{")


def stop_before_the_index(folder):
    lose_the_seal(folder)
    lose_the_index(folder)


@pytest.mark.parametrize(
    ("harm", "words"),
    (
        (truncate, "does not have its checksum"),
        (flip_a_bit, "does not have its checksum"),
        (lose_the_index, "was sealed with"),
        (lose_the_seal, "was not written completely"),
        (spoil_the_seal, "cannot be read"),
        (stop_before_the_index, "was not written completely"),
    ),
)
def test_a_damaged_or_half_written_checkpoint_is_passed_over_with_a_line(harm, words, tmp_path, caplog):
    saved = Saved(tmp_path)
    saved.save(10, 20)
    assert saved.restored() == 20
    harm(saved.folder)
    with caplog.at_level(logging.WARNING):
        assert Saved(tmp_path).restored() == 10
    (line,) = caplog.messages
    assert "the checkpoint of step 20" in line and words in line and "the one before it is taken" in line
    assert checkpoint_path(tmp_path).endswith("ckpt-10")
    with pytest.raises(FileNotFoundError, match="has no checkpoint of step 20; it has 10"):
        checkpoint_path(tmp_path, 20)
    saved.save(20)  # the run comes by again
    assert Saved(tmp_path).restored() == 20


def test_the_newest_two_are_kept_and_a_damaged_one_is_none_of_them(tmp_path):
    saved = Saved(tmp_path)
    saved.save(10, 20, 30)
    assert seals.whole_steps(saved.folder) == [20, 30]
    data_file(saved.folder, 30).write_bytes(b"")
    saved.save(40)
    assert seals.whole_steps(saved.folder) == [20, 40]


READ = []  # the paths that Python opens; an audit hook stays for the life of the process
sys.addaudithook(lambda event, arguments: READ.append(str(arguments[0])) if event == "open" else None)


@pytest.mark.parametrize("step", ("newest", 30, 20))
def test_of_many_checkpoints_only_the_wanted_one_is_read(step, tmp_path):
    Saved(tmp_path, keep=5).save(10, 20, 30)
    other = tmp_path / "copied"  # another process knows nothing of these files
    shutil.copytree(tmp_path / "stage_0", other / "stage_0")
    READ.clear()
    path = checkpoint_path(other, step)
    read = {pathlib.Path(name).name for name in READ if str(other) in name}
    wanted = 30 if step == "newest" else step
    assert path == str(other / f"stage_0/ckpt-{wanted}")
    assert read == {f"ckpt-{wanted}{suffix}" for suffix in (".index", ".data-00000-of-00001", ".seal")}


def test_a_checkpoint_of_an_earlier_step_than_the_newest_stage_has_is_said_with_those_there_are(tmp_path):
    Saved(tmp_path).save(10)
    (tmp_path / "stage_1").mkdir()  # a stage that has begun and saved nothing
    assert checkpoint_path(tmp_path) == checkpoint_path(tmp_path, 10) == str(tmp_path / "stage_0/ckpt-10")
    with pytest.raises(FileNotFoundError, match=r"stage_0 has no checkpoint of step 11; it has 10"):
        checkpoint_path(tmp_path, 11)
    with pytest.raises(FileNotFoundError, match=r"stage_1 has no checkpoint yet"):
        checkpoint_path(tmp_path, 10, stage=1)


def test_no_whole_checkpoint_is_a_fresh_start(tmp_path):
    saved = Saved(tmp_path)
    assert seals.newest_whole(saved.folder) is None and saved.restored() == 0
    with pytest.raises(FileNotFoundError, match="has no checkpoint yet"):
        checkpoint_path(tmp_path)


def test_a_write_that_fails_is_one_line_and_leaves_the_last_good_checkpoint(tmp_path):
    saved = Saved(tmp_path, width=300)
    saved.save(10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the weights have 361 kB: the write itself fails
    try:
        with pytest.raises(OSError, match=r"checkpoint of step 20 cannot be written .*; that of step 10 is") as caught:
            saved.save(20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert saved.restored() == 10
    assert not [path for path in saved.folder.iterdir() if "20" in path.name]
    saved.save(20)
    assert saved.restored() == 20


def test_a_folder_that_is_gone_is_said(tmp_path):
    saved = Saved(tmp_path)
    pathlib.Path(saved.folder).parent.joinpath("stage_0").write_text("a file in its place")
    with pytest.raises(OSError, match=r"checkpoint of step 10 cannot be written .*; there is none before it"):
        saved.save(10)


@pytest.mark.parametrize(
    ("message", "said"),
    (
        (
            "{{function_node __wrapped__IteratorGetNext}} /d/x-00000; No such file\n\t [[{{node a}}]] [Op:I]",
            "/d/x-0000",
        ),
        (
            'Graph execution error:\n\nDetected at node a defined at\n  File "x.py", line 1, in f\n\nNo room\n\t [[b]]',
            "No room",
        ),
        ("", "NotFoundError"),
    ),
)
def test_the_reason_is_taken_out_of_tensorflows_message(message, said):
    assert in_one_line(tf.errors.NotFoundError(None, None, message)).startswith(said)
