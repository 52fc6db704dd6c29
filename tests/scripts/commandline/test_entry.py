"""What every command has from its start: words beside flags, statuses, and how much TensorFlow says."""

import os
import subprocess
import sys

import pytest

from tests.places import ROOT

PROGRAM = """
import os, sys
from absl import flags
from deeplab_ksac.scripts.commandline.entry import start

def run(first, second, given):
    if given.level:
        print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
    if given.interrupted:
        raise KeyboardInterrupt
    print(first, second, given.status)
    return given.status

def interrupt(value):
    if value:
        raise KeyboardInterrupt
    return True

def define_flags():
    flags.DEFINE_string("slow", None, "what is looked at for long")
    flags.register_validator("slow", interrupt)
    flags.DEFINE_integer("status", 0, "what run returns")
    flags.DEFINE_string("folder", None, "a path")
    flags.DEFINE_string("address", "", "nothing by default")
    flags.DEFINE_list("folders", [], "paths")
    flags.DEFINE_bool("level", False, "whether TensorFlow's log level is printed")
    flags.DEFINE_bool("interrupted", False, "whether run is interrupted")

start("copy", define_flags, run, arguments={"source": "what is copied", "target": "where to"})
"""


def call(*words, **environment):
    kept = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**kept, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("status", (0, 1, 42))
def test_words_go_to_the_command_in_their_order_and_its_status_is_the_process(status):
    done = call("here", f"--status={status}", "there")
    assert (done.returncode, done.stdout, done.stderr) == (status, f"here there {status}\n", "")


@pytest.mark.skipif(os.name == "nt", reason="has no /dev/full")
@pytest.mark.parametrize(
    ("module", "words"),
    [("ksac", ("--help",)), ("flops", ("--help",)), ("flops", ("--helpfull",)), ("report", ("--runs=x", "--output=y"))],
)
def test_what_nobody_reads_or_no_disk_takes_is_no_traceback(module, words, tmp_path):
    command = [sys.executable, "-m", f"deeplab_ksac.scripts.{module}", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    reads, writes = os.pipe()
    os.close(reads)
    for stdout, told in ((writes, 0), (os.open("/dev/full", os.O_WRONLY), "--help" in words[0])):
        options = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path, "check": False}
        done = subprocess.run(command, env=environment, **options)
        os.close(stdout)
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        assert done.returncode in (0, 1) and len(done.stderr.splitlines()) == (module == "report" or bool(told))


def test_a_command_that_is_interrupted_while_it_reads_its_flags_has_them_too():
    done = call("here", "there", "--slow=1")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "copy: interrupted\n")


def test_an_interrupted_command_has_status_130_and_one_line():
    done = call("here", "there", "--interrupted")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "copy: interrupted\n")


@pytest.mark.parametrize("words, given", (((), "none"), (("here",), "here"), (("a", "b", "c"), "a b c")))
def test_too_few_or_too_many_words_are_told_what_is_expected(words, given):
    done = call(*words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"expected <source> (what is copied), <target> (where to), not: {given}" in done.stderr


@pytest.mark.parametrize("environment, level", (({}, "3"), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "0")))
def test_tensorflow_is_quiet_unless_the_environment_says_otherwise(environment, level):
    assert call("here", "there", "--level", **environment).stdout.splitlines()[0] == level


def test_a_flag_without_its_value_is_not_taken_for_the_current_folder():
    done = call("a", "b", "--folder=")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "copy: --folder is empty; give it a value, or leave it out\n"
    assert call("a", "b", "--address=").returncode == 0
    assert call("a", "b", "--folders=").stderr == "copy: --folders is empty; give it a value, or leave it out\n"


def test_a_flagfile_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "flags").write_bytes(b"\xff--level")
    done = call("a", "b", f"--flagfile={tmp_path / 'flags'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "copy: a --flagfile is no text in UTF-8: invalid start byte at byte 0\n"
