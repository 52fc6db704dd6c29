"""A command's flags, parsed in this process as `entry.start` does; afterwards they are gone again."""

import contextlib
import sys
from unittest import mock

from absl import flags

from deeplab_ksac.scripts.commandline.entry import wrong_flags_in_one_line


@contextlib.contextmanager
def command_line(module, *words):
    """Inside, `flags.FLAGS` are those of a command with this command line; a wrong one is a SystemExit."""
    known = set(flags.FLAGS)
    name = module.__name__.rpartition(".")[2]
    with mock.patch.object(sys, "argv", [name, *words]):
        try:
            with wrong_flags_in_one_line(name):
                module.define_flags()
                flags.FLAGS(sys.argv)
            yield flags.FLAGS
        finally:
            for flag in set(flags.FLAGS) - known:
                delattr(flags.FLAGS, flag)
            flags.FLAGS.unparse_flags()
