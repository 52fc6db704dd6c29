"""A command's flags, parsed in this process as `entry.start` does; afterwards they are gone again."""

import contextlib
import sys
import types
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


def flags_of(module, **values):
    """The flags of a command as it sees them, at their defaults but for some values; nothing is parsed."""
    found = _defaults(module)
    assert set(values) <= set(found), f"{module.__name__} has no flags {set(values) - set(found)}"
    return types.SimpleNamespace(**{**found, **values})


def flags_among(module, **values):
    """As `flags_of`, of values for several commands: those of flags that this one lacks are left out."""
    own = _defaults(module)
    return flags_of(module, **{name: value for name, value in values.items() if name in own})


def _defaults(module):
    known = set(flags.FLAGS)
    module.define_flags()
    own = set(flags.FLAGS) - known
    found = {name: flags.FLAGS[name].value for name in own}
    for name in own:
        delattr(flags.FLAGS, name)
    return found
