"""Classes and functions of one's own by their import paths: "my_heads:MyHead", "/home/me/my_experiment.py:MyHead".

The first is looked for as Python imports modules, in the folders of PYTHONPATH and among the installed packages; the
second in a file, which is run for it once, however many copies of the file there are.
"""

import contextlib
import contextvars
import difflib
import hashlib
import importlib
import os
import pathlib
import re
import sys
import traceback
import types
from collections.abc import Callable

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.whole_files import read_whole

MAIN = "__main__"
SUFFIX = ".py"
IMPORT_PATH = re.compile(r"(?P<place>.+\.py|[^\W\d][\w.]*):(?P<name>[^\W\d][\w.]*)", re.DOTALL)
_run = {}  # path of a file: the text of it that was run last, of the script that Python was started with its first
_RUNNING: contextvars.ContextVar[str] = contextvars.ContextVar("the file that is run for what it defines")


class ImportPathError(ValueError):
    """Something of one's own cannot be found, or has no path under which it will be; the message is one line."""


def is_import_path(name: str) -> bool:
    """Whether a text is an import path and no name of a registry, which has no colon."""
    return ":" in name


def file_of(path: str) -> str | None:
    """The file of an import path, absolute or not; None where it names a module."""
    place = path.rpartition(":")[0]
    return place if place.endswith(SUFFIX) else None


def path_of(thing: Callable) -> str:
    """The import path of a class or function.

    What is defined in a file that was run, as a script or by `load_file`, has that file's absolute path; what is typed
    into a notebook or at a prompt has "__main__:<name>", under which this process alone finds it.

    Raises:
        ImportPathError: it is neither, or made inside of a function, or its module has something else of that name.
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not callable(thing) or not isinstance(module, str) or not isinstance(name, str):
        raise ImportPathError(f"a part is a name, or a class or function of one's own, not {thing!r}")
    if "<" in name:
        raise ImportPathError(
            f"{name.replace('.<locals>', '')} is made inside of a function, where nothing finds it later; define it at "
            "the top of a file"
        )
    holder = sys.modules.get(module)
    if holder is None or _found(holder, name) is not thing:
        raise ImportPathError(f"{module} has no {name}, or another one, so that this one would not be found later")
    file = getattr(holder, "__file__", None)
    if module == MAIN:
        spec = getattr(holder, "__spec__", None)
        if spec is not None:  # python -m package.module
            return f"{spec.name}:{name}"
        return f"{_script() or (module if file is None else os.path.abspath(file))}:{name}"
    return f"{file}:{name}" if _is_run(holder) else f"{module}:{name}"


def resolve(path: str) -> Callable:
    """The class or function that an import path names; its module is imported, or its file run, where that is to come.

    Raises:
        ImportPathError: there is no such file, module or name, or it fails; the message says where it was looked for.
    """
    match = IMPORT_PATH.fullmatch(path)
    if match is None:
        raise ImportPathError(f"{path!r} is no import path, such as my_heads:MyHead or my_experiment.py:MyHead")
    place, name = match["place"], match["name"]
    module = load_file(place) if place.endswith(SUFFIX) else _imported(place)
    thing = _found(module, name)
    if thing is None:
        file = None if place.endswith(SUFFIX) else getattr(module, "__file__", None)
        where = f" ({file})" if file else ""
        if place == MAIN:
            raise ImportPathError(
                f"{name} was defined in a notebook or at a prompt, where no other process finds it; define it in a "
                "file, and import it from there"
            )
        near = difflib.get_close_matches(name, vars(module), n=1)
        raise ImportPathError(f"{place}{where} has no {name}{f'; did you mean {near[0]!r}?' if near else ''}")
    if not callable(thing):
        raise ImportPathError(f"{path} is no class or function, but {thing!r}")
    return thing


def load_file(path: str | os.PathLike) -> types.ModuleType:
    """The module that a Python file is; it is run unless this process has run the same text before.

    Raises:
        ImportPathError: there is no such file, with those of near names; or it fails, with the line.
    """
    path, script = os.path.abspath(path), _script()
    if path == script:
        return sys.modules[MAIN]
    try:
        content = read_whole(path)
    except FileNotFoundError:
        raise ImportPathError(about_missing(path)) from None
    except OSError as error:
        raise ImportPathError(f"{path} cannot be read: {error.strerror or error}") from error
    if script is not None and content == _run.get(script):
        return sys.modules[MAIN]
    name = f"{pathlib.Path(path).stem}_{hashlib.sha256(content).hexdigest()[:16]}"
    if name in sys.modules:
        module = sys.modules[name]
        module.__file__ = module.__file__ if os.path.isfile(module.__file__) else path
        _run[path] = content
        return module
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    token = _RUNNING.set(path)
    try:
        exec(compile(content, path, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise ImportPathError(_about(error, path)) from error
    finally:
        _RUNNING.reset(token)
    _run[path] = content
    return module


def content_of(path: str | os.PathLike) -> bytes:
    """The text of a file as this process has run it last, however it was edited since; of another file what it holds.

    Raises:
        OSError: it was not run, and cannot be read.
    """
    path = os.path.abspath(path)
    return _run[path] if path in _run else read_whole(path)


def line_in(thing: Callable, error: BaseException) -> str:
    """Where in the file of a class or function an error or its cause came up, " (my_heads.py, line 3)"; or ""."""
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if lines else ""


def check_no_file_is_run(what: str) -> None:
    """Makes sure that `what` does not begin in a file that is run only for what it defines.

    Raises:
        ImportPathError: it does.
    """
    if _RUNNING.get(None) is not None:
        raise ImportPathError(
            f"{what} cannot begin in a file that is run for what it defines; put the call under "
            f"if __name__ == '{MAIN}':"
        )


def about_missing(path: str | os.PathLike) -> str:
    """What is said of a file that is not there: it is no file, its folder is not there, or the files of near names."""
    path = pathlib.Path(path)
    try:
        path.stat()
        return f"{path} is no regular file"
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # such as a folder that only others may enter
        return f"{path} cannot be read: {error.strerror}"
    if not path.parent.is_dir():
        return f"{path} does not exist: there is no folder {path.parent}"
    names = []
    with contextlib.suppress(OSError):
        names = [each.name for each in path.parent.iterdir() if each.suffix == path.suffix and each.is_file()]
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"{path} does not exist{f'; did you mean {_listed(near)}?' if near else ''}"


def _imported(name):
    """The module of that name, which may be the one that Python was started with."""
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name == name:
        return main
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            path = os.environ.get("PYTHONPATH")
            raise ImportPathError(
                f"there is no module {error.name!r} in PYTHONPATH ({path or 'which is not set'}) or among the "
                "installed packages; add its folder to PYTHONPATH"
            ) from None
        raise ImportPathError(f"{name} cannot be imported: {_about(error)}") from error
    except (Exception, SystemExit) as error:
        raise ImportPathError(f"{name} cannot be imported: {_about(error)}") from error


def _found(module, name):
    """What a module has under a dotted name; None for nothing."""
    for step in name.split("."):
        module = getattr(module, step, None)
    return module


def _is_run(module):
    """Whether `load_file` has run the file of a module, so that no import finds it."""
    return getattr(module, "__spec__", None) is None and module.__name__ != MAIN and hasattr(module, "__file__")


def _script():
    """The file that Python was started with, whose text is kept as it is when this first asks for it; None for none."""
    file = getattr(sys.modules[MAIN], "__file__", None)
    if file is None or not file.endswith(SUFFIX):
        return None
    file = os.path.abspath(file)
    with contextlib.suppress(OSError):
        _run[file] = _run[file] if file in _run else read_whole(file)
    return file


def _about(error, path=None):
    """File, line and message of what went wrong in a file; `path` is the file whose line is wanted."""
    if isinstance(error, ImportPathError) and path is None:
        return str(error)
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else f", line {error.lineno}"
        return f"{error.filename or path}{line}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    frames = [frame for frame in frames if not frame.filename.startswith("<")]
    frames = [frame for frame in frames if frame.filename == path] or frames
    where = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else f"{path}: " if path else ""
    hint = "; modules are looked for in PYTHONPATH, not beside the file" if type(error) is ModuleNotFoundError else ""
    return f"{where}{type(error).__name__}: {in_one_line(error)}{hint}"


def _listed(names):
    return " or ".join(map(repr, names))
