"""One line for an error of the input, a traceback for a fault of the program."""

import pathlib

import pytest
import tensorflow as tf

from deeplab_ksac.scripts.commandline import ending as output


def failing(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    "error",
    [ValueError("the\nvalue"), FileNotFoundError("the\n value"), tf.errors.DataLossError(None, None, "the value")],
)
def test_an_error_of_the_input_is_one_line_and_status_1(capsys, error):
    assert output.exit_status(failing(error), name="predict") == 1
    captured = capsys.readouterr()
    assert captured.err == "predict: the value\n"
    assert captured.out == ""


def test_an_error_without_words_is_named_by_its_type(capsys):
    assert output.exit_status(failing(ValueError()), name="predict") == 1
    assert capsys.readouterr().err == "predict: ValueError\n"


@pytest.mark.parametrize("path", ("a/b.json", pathlib.Path("a/b.json")))
def test_an_error_of_the_system_names_the_file_first(capsys, path):
    assert output.exit_status(failing(NotADirectoryError(20, "Not a directory", path)), name="predict") == 1
    assert capsys.readouterr().err == "predict: a/b.json: Not a directory\n"


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        output.exit_status(lambda: 1 // 0, name="predict")


def test_success_passes_through():
    assert output.exit_status(lambda: 0, name="predict") == 0
