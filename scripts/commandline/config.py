"""`--config=<experiment>` on a command line: names become values of which every field can be overridden.

This file is also what `ml_collections.config_flags` loads for it; `get_config` is called by it.
"""

import difflib
import pathlib
import sys
from collections.abc import Sequence

from ml_collections import ConfigDict, config_flags

from deeplab_ksac.experiment import to_config_dict
from deeplab_ksac.experiments import EXPERIMENTS, TABLE_ROWS

CONFIG_FILE = pathlib.Path(__file__).resolve()


def get_config(name: str) -> ConfigDict:
    """The experiment of that name as a `ConfigDict`.

    Raises:
        LookupError: there is none; the message has the nearest names, and the others that are no table's.
    """
    if name in EXPERIMENTS:
        return to_config_dict(EXPERIMENTS[name])
    if name in TABLE_ROWS:
        row = TABLE_ROWS[name]
        raise LookupError(f"{name} ({row.method}) is quoted from another paper and cannot be run")
    of_table = [known for known in EXPERIMENTS if known.startswith(name.partition(":")[0] + ":")]
    near = difflib.get_close_matches(name, of_table or EXPERIMENTS, n=3, cutoff=0.8)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    others = [known for known in EXPERIMENTS if known not in TABLE_ROWS]
    raise LookupError(
        f"no experiment is named {name!r};{hint} there are {', '.join(others)}, and the rows of the thesis's tables, "
        "such as table_4_1:R8"
    )


def define_flag() -> None:
    """--config=<experiment>, and a flag for every field of it: `--config.stages[0].steps=100`."""
    config_flags.DEFINE_config_file("config", None, "name of the experiment", sys_argv=with_config_file(sys.argv))


def with_config_file(argv: Sequence[str]) -> list[str]:
    """The command line with `--config=<experiment>` as `config_flags` reads it: a file and its argument."""
    named, following = [], False
    for word in argv:
        if following or word.startswith(("--config=", "-config=")):
            flag, _, name = word.rpartition("=") if not following else ("", "", word)
            word = f"{flag}={CONFIG_FILE}:{name}" if flag else f"{CONFIG_FILE}:{name}"
            following = False
        elif word in ("--config", "-config"):
            following = True
        named.append(word)
    return named
