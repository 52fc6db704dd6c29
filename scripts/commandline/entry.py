"""How a command starts: its flags, what it takes beside them, and how much TensorFlow says."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

from absl import app, flags

from deeplab_ksac.errors import printable
from deeplab_ksac.scripts.commandline.ending import exit_status, interrupted
from deeplab_ksac.scripts.commandline.quiet import keep_tensorflow_quiet
from deeplab_ksac.scripts.commandline.stdout import written


def start(
    name: str,
    define_flags: Callable[[], None],
    run: Callable[..., int],
    *,
    arguments: Mapping[str, str] | None = None,
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """Runs a command on the process's command line, and ends the process with the command's exit status.

        if __name__ == "__main__":
            start("evaluate", define_flags, run)

    A module that calls this must not load TensorFlow before, or TensorFlow's notes on its start are printed.

    Args:
        name: the command's name, which stands in front of its errors.
        define_flags: defines the command's flags.
        run: `run(*words, given)` -> exit status, where `words` are the arguments and `given` has the flags' values.
        arguments: what the command takes beside its flags, {name: description}, in their order; all are required. Of
            the last, where its name ends in "…", there may be several.
        argv: the command line (default: `sys.argv`).
    """
    keep_tensorflow_quiet()
    arguments = arguments or {}

    def main(words):
        _, *words = words
        for flag in sorted(own):  # "--workdir=", as an unset shell variable makes it, would be the current folder
            given = flags.FLAGS[flag]
            if given.present and given.value in ("", []) and given.default != "":
                sys.exit(f"{name}: --{flag} is empty; give it a value, or leave it out")
        if not arguments and words:
            sys.exit(f"{name}: not a flag: {printable(' '.join(words))}; --help lists the flags")
        several = any(argument.endswith("…") for argument in arguments)
        if len(words) < len(arguments) or (len(words) > len(arguments) and not several):
            expected = ", ".join(f"<{argument}> ({what})" for argument, what in arguments.items())
            sys.exit(f"{name}: expected {expected}, not: {printable(' '.join(words)) or 'none'}")
        return exit_status(lambda: run(*words, flags.FLAGS), name=name)

    def parse(argv):
        with wrong_flags_in_one_line(name):
            return flags.FLAGS(argv)

    known = set(flags.FLAGS)
    try:
        with wrong_flags_in_one_line(name):
            define_flags()
        own = set(flags.FLAGS) - known
        for flag in own:  # --help lists them, whichever module they are defined in
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[flag])
        sys.exit(written(lambda: app.run(main, argv=argv, flags_parser=parse), name=name))
    except KeyboardInterrupt:  # while flags are read, which may run the Python file of an experiment
        sys.exit(interrupted(name))


@contextlib.contextmanager
def wrong_flags_in_one_line(name: str) -> Iterator[None]:
    """Inside, a flag that does not exist, or whose value makes no sense, ends the process with one line and status 1.

    Args:
        name: the command's name, which stands in front.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        sys.exit(f"{name}: a --flagfile is no text in UTF-8: {error.reason} at byte {error.start}")
    except (flags.Error, ValueError) as error:
        sys.exit(f"{name}: {_first_in_one_line(str(error))}")


def _first_in_one_line(said):
    """What is wrong with the first of the flags of which absl says something."""
    first = re.split(r"\nflag --", said)[0]  # "flag --workdir=None: Flag --workdir must have a value …"
    of_absl = re.fullmatch(r"flag (--[^=]*)=(.*): (?:Flag \1 )?(must have .*|value should .*)", first, re.DOTALL)
    if of_absl:
        flag, value, allowed = of_absl.groups()
        first = f"{flag} {allowed}" if value == "None" else f"{flag} {allowed}, not {value!r}"
    return printable(" ".join(first.split()))
