"""Which trained model a command takes: --workdir, the folder of a training run, or --model, whatever holds one; which
of a run's checkpoints, --checkpoint; and in which precision it computes, --precision."""

import dataclasses
from collections.abc import Callable

from absl import flags

from deeplab_ksac import storage
from deeplab_ksac.experiment import PRECISIONS
from deeplab_ksac.models import SHIPPED
from deeplab_ksac.models.places import Place, find
from deeplab_ksac.runs.places import BEST, NEWEST
from deeplab_ksac.scripts.commandline import values

MODEL = (
    "one that comes with this package, by its name; a folder that `ksac save` wrote; hf://user/name[@revision]; or the "
    "folder of a training run"
)


def define_flags(is_optional: Callable[[], bool] = lambda: False):
    """--workdir and --model, of which a command takes one, and --checkpoint.

    Args:
        is_optional: whether neither must be given, for a model that comes with this package, by the other flags.
    """
    flags.DEFINE_string("workdir", None, "folder of the training run")
    flags.DEFINE_string("model", None, f"a trained model in place of --workdir: {MODEL}")
    flags.register_validator("model", lambda model: _is_one(model is not None, _workdir() is not None, is_optional()))
    define_code_flag()
    _define_checkpoint()


def define_list_flags():
    """--workdir and --model, each a list, of which a command takes one or both, and --checkpoint."""
    flags.DEFINE_list("workdir", [], "folders of training runs, shown side by side")
    flags.DEFINE_list("model", [], f"trained models, shown beside them; each is {MODEL}")
    flags.register_validator("model", lambda model: _is_one(bool(model or _workdir()), False))
    define_code_flag()
    _define_checkpoint()


def define_precision():
    """--precision, in which the model computes."""
    flags.DEFINE_enum(
        "precision",
        "float32",
        PRECISIONS,
        "of weights and arithmetic: bfloat16 is faster on processors with AMX, it and float16 on GPUs",
    )


def define_code_flag():
    """--allow_code, for saved models with parts that do not come with this package."""
    flags.DEFINE_bool("allow_code", False, "whether the code may be run that a saved model brings along")


def place(given) -> Place:
    """Where the model is that --workdir or --model names.

    Raises:
        OSError, ValueError: as `places.find`, of --model.
    """
    if given.model is None and given.workdir is None:
        return find(next(iter(SHIPPED)))
    if given.model is None:
        return Place(str(given.workdir), storage.place(given.workdir), is_run=True)
    return _allowed(find(given.model), given)


def places(given) -> list[Place]:
    """Where the models are that --workdir and --model name, one after the other.

    Raises:
        OSError, ValueError: as `places.find`, of --model.
    """
    runs = [Place(str(workdir), storage.place(workdir), is_run=True) for workdir in given.workdir]
    return runs + [_allowed(find(model), given) for model in given.model]


def output_dir(given, where: Place, below: str = "") -> storage.Place:
    """The folder for results: --output_dir, or by default a run's own.

    Raises:
        ValueError: neither is there.
    """
    if given.output_dir:
        return storage.place(given.output_dir)
    if not where.is_run:
        raise ValueError(f"--output_dir must be given with --model={where.source}, which is no training run's folder")
    return where.folder / below


def _allowed(place, given):
    """The place with what --allow_code says."""
    return dataclasses.replace(place, allow_code=given.allow_code)


def _define_checkpoint():
    """--checkpoint: "newest", "best" (by the validation mIoU during training), or a step."""
    values.whole_number_or_word(
        "checkpoint",
        NEWEST,
        "which checkpoint of a run: newest, best (by validation mIoU), or its step",
        (NEWEST, BEST),
    )


def _workdir():
    """The value of --workdir."""
    return flags.FLAGS["workdir"].value


def _is_one(one, other, or_none=False):
    """True, if one of two flags is given and the other is not, or none that need not be.

    Raises:
        ValueError: otherwise.
    """
    if not one and not other and not or_none:
        raise ValueError(
            "--workdir or --model must have a value; which trained model is it to be? With this package comes "
            f"--model={next(iter(SHIPPED))}"
        )
    if one and other:
        raise ValueError("--workdir and --model name a trained model each; give one of them")
    return True
