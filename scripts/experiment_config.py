"""The configuration file behind `--config=<experiment>`: names become values that the command line can override."""

import difflib

from deeplab_ksac.experiment import to_config_dict
from deeplab_ksac.experiments import EXPERIMENTS


def get_config(name):
    """The experiment of that name as a `ConfigDict`."""
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise LookupError(f"no experiment is named {name!r}; there are {', '.join(EXPERIMENTS)}{hint}")
    return to_config_dict(EXPERIMENTS[name])
