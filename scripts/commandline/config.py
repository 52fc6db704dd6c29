"""`--config=<experiment>` on a command line, and `--config.<path>=<value>` for every field of it."""

import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence

from absl import flags

from deeplab_ksac.experiment import Experiment
from deeplab_ksac.experiments import EXPERIMENTS, TABLE_ROWS
from deeplab_ksac.experiments.finetune import FINETUNE
from deeplab_ksac.import_paths import about_missing, load_file
from deeplab_ksac.overrides import override, steps_of, type_at
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment_file

DEFINED = "EXPERIMENT"  # what a Python file calls its experiment
FILES = (".py", ".json")
OVERRIDE = re.compile(r"--?(no)?config\.([^=]*)")


def named(name: str) -> Experiment:
    """The experiment of that name: a registered one, the `EXPERIMENT` of a Python file, or a run's experiment.json.

    Raises:
        ValueError: there is none; the message has the nearest names, and the others that are no table's. Or a file that
            cannot be read, defines no experiment, or fails.
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    if name.endswith(FILES):
        return _of_file(name)
    if name == FINETUNE:
        raise ValueError(
            f"{FINETUNE} is derived from a data set, by `ksac train --config={FINETUNE} --data=<its name>`"
        )
    if name in TABLE_ROWS:
        row = TABLE_ROWS[name]
        raise ValueError(f"{name} ({row.method}) is quoted from another paper and cannot be run")
    of_table = [known for known in EXPERIMENTS if known.startswith(name.partition(":")[0] + ":")]
    near = difflib.get_close_matches(name, of_table or EXPERIMENTS, n=3, cutoff=0.8)
    files = [*(f"{name}{suffix}" for suffix in FILES), os.path.join(name, EXPERIMENT_FILE)]
    near += [path for path in files if os.path.isfile(path)]
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    others = [*(known for known in EXPERIMENTS if known not in TABLE_ROWS), FINETUNE]
    raise ValueError(
        f"no experiment is named {name!r};{hint} there are {', '.join(others)}, and the rows of the thesis's tables, "
        "such as table_4_1:R8; one's own is a file, my_experiment.py or a run's experiment.json"
    )


def _of_file(path):
    """The experiment that a Python or JSON file holds."""
    if not os.path.isfile(path):
        raise ValueError(about_missing(path))
    if not path.endswith(".py"):
        try:
            return read_experiment_file(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    module = load_file(path)
    if not hasattr(module, DEFINED):
        found = [name for name, value in vars(module).items() if isinstance(value, Experiment)]
        hint = f"; {' and '.join(found)} would be one" if found else ""
        raise ValueError(f"{path} defines no {DEFINED}{hint}")
    experiment = getattr(module, DEFINED)
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"{DEFINED} of {path} must be an Experiment of deeplab_ksac.experiment, not {type(experiment).__name__}"
        )
    return experiment


def define_flag() -> None:
    """--config=<experiment>, and a flag for each of its fields that the command line sets: --config.seed=1.

    Raises:
        flags.Error: what follows --config is not the path of a field.
    """
    flags.DEFINE_string(
        "config",
        None,
        f"name of the experiment, {FINETUNE} for your own pictures, a Python file that defines {DEFINED}, or a run's "
        "experiment.json; --config.<field>=<value> changes a field of it",
    )
    for path, without_value in _overridden(sys.argv[1:]):
        try:
            steps_of(path)
        except ValueError as error:
            raise flags.Error(f"--config.{path}: {error}") from None
        if f"config.{path}" not in flags.FLAGS:
            flags.DEFINE_flag(_Override(path, is_bool=without_value or _is_bool(path)))
    # Before the validators of other flags: what is wrong with the experiment is said first.
    flags.register_validator("config", lambda name: name in (None, FINETUNE) or chosen(name) is not None)


def chosen(name: str, derived: Experiment | None = None) -> Experiment:
    """The experiment of that name, or the one that was derived, with the fields that the command line sets.

    Raises:
        ValueError: there is no such experiment or field, or a value that the field cannot have.
    """
    experiment = named(name) if derived is None else derived
    given = [flags.FLAGS[flag] for flag in flags.FLAGS if isinstance(flags.FLAGS[flag], _Override)]
    try:
        return override(experiment, [(flag.path, flag.value) for flag in given if flag.value is not None])
    except ValueError as error:  # its message begins with the path
        raise ValueError(f"--config.{error}") from None


def is_overridden(path: str) -> bool:
    """Whether the command line sets a field, or one above or below it."""
    given = [flags.FLAGS[flag] for flag in flags.FLAGS if isinstance(flags.FLAGS[flag], _Override)]
    wanted = steps_of(path)
    return any(
        all(a == b for a, b in zip(steps_of(flag.path), wanted, strict=False))
        for flag in given
        if flag.value is not None
    )


class _Override(flags.Flag):
    """The flag of one field; its value is a text, which the field's type gives a meaning."""

    def __init__(self, path, *, is_bool):
        super().__init__(
            flags.ArgumentParser(),
            flags.ArgumentSerializer(),
            f"config.{path}",
            None,
            "a field of the experiment",
            boolean=is_bool,
        )
        self.path = path


def _overridden(argv: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """(path, whether it is written --noconfig.<path>) of every field that a command line and its flagfiles set."""
    for word in flags.FLAGS.read_flags_from_files(argv, force_gnu=False):
        if word == "--":
            return
        match = OVERRIDE.match(word)
        if match:
            yield match[2], match[1] is not None


def _is_bool(path):
    """Whether a field is True or False, so that its flag may stand without a value."""
    try:
        return type_at(path) is bool
    except ValueError:  # is said once the flags are parsed
        return False
