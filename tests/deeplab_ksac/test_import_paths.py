"""Classes and functions of one's own: the path under which each is found, and what is said where it is not."""

import importlib
import sys
import types

import pytest

from deeplab_ksac import import_paths
from deeplab_ksac.experiment import part
from deeplab_ksac.import_paths import load_file, path_of, resolve


class Known:
    class Inner:
        pass


@pytest.mark.parametrize("thing", (Known, Known.Inner, load_file))
def test_what_a_module_has_at_its_top_is_found_by_its_path(thing):
    assert part(thing, size=1).name == f"{thing.__module__}:{thing.__qualname__}"
    assert resolve(path_of(thing)) is thing


def test_the_folder_of_a_file_may_have_any_name(tmp_path):
    folder = tmp_path / "a\nb: [c] \x1b"
    folder.mkdir()
    (folder / "mine.py").write_text("class Elsewhere:\n    pass\n")
    mine = load_file(folder / "mine.py").Elsewhere
    assert resolve(part(mine).name) is mine


def test_what_a_file_defines_is_found_in_the_file_and_in_its_copies(tmp_path):
    text = "class Mine:\n    pass\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/mine.py").write_text(text)
    mine = load_file(tmp_path / "mine.py").Mine
    assert path_of(mine) == f"{tmp_path}/mine.py:Mine"
    assert resolve(path_of(mine)) is mine is resolve(f"{tmp_path}/copy/mine.py:Mine")
    (tmp_path / "mine.py").write_text(text + "# another version\n")
    assert resolve(f"{tmp_path}/mine.py:Mine") is not mine


def test_a_file_with_a_null_byte_is_named(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"a = 1\0")
    with pytest.raises(ValueError, match=r"mine\.py: source code string cannot contain null bytes"):
        load_file(tmp_path / "mine.py")


def test_a_script_that_is_running_is_its_file(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("class Mine:\n    pass\n")
    main = load_file(script)
    main.Mine.__module__ = "__main__"
    main.__name__, main.__spec__ = "__main__", None
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert path_of(main.Mine) == f"{script}:Mine" and resolve(path_of(main.Mine)) is main.Mine
    del main.__file__  # a notebook's
    assert path_of(main.Mine) == "__main__:Mine" and resolve("__main__:Mine") is main.Mine
    with pytest.raises(ValueError, match="Other was defined in a notebook or at a prompt, where no other process"):
        resolve("__main__:Other")


def test_what_would_not_be_found_is_no_part():
    class Local:
        pass

    renamed = type("Known", (), {"__module__": __name__})
    for thing, words in (
        (Local, "Local is made inside of a function, where nothing finds it later"),
        (lambda: None, "<lambda> is made inside of a function"),
        (renamed, f"{__name__} has no Known, or another one"),
        (Known(), "a class or function of one's own, not <"),
        (3, "a class or function of one's own, not 3"),
    ):
        with pytest.raises(ValueError, match=words):
            part(thing)


@pytest.mark.parametrize(
    "path, words",
    (
        ("nowhere_at_all:Mine", r"no module 'nowhere_at_all' in PYTHONPATH \(/somewhere\)"),
        ("json.nowhere:Mine", "no module 'json.nowhere'"),
        (f"{__name__}:Knwon", rf"{__name__} \({__file__}\) has no Knwon; did you mean 'Known'\?"),
        (f"{__name__}:__name__", "is no class or function, but"),
        ("no path:Mine", "'no path:Mine' is no import path, such as"),
        ("{folder}/mien.py:Mine", r"{folder}/mien.py does not exist; did you mean 'mine.py'\?"),
        ("{folder}/lost/mine.py:Mine", "there is no folder {folder}/lost"),
        ("{folder}/mine.py:Mien", r"{folder}/mine.py has no Mien; did you mean 'Mine'\?"),
    ),
)
def test_what_is_missing_is_said_with_where_it_was_looked_for(path, words, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with pytest.raises(ValueError, match=words.replace("{folder}", str(tmp_path))) as refused:
        resolve(path.replace("{folder}", str(tmp_path)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text, words",
    (
        ("x = 1\nclass Mine(\n", r"mine.py, line 2: '\(' was never closed"),
        ("x = 1\ny = z\n", "mine.py, line 2: NameError: name 'z' is not defined"),
        ("import nowhere_at_all\n", "line 1: ModuleNotFoundError: .*; modules are looked for in PYTHONPATH"),
        ("import sys\nsys.exit(3)\n", "mine.py, line 2: SystemExit: 3"),
        ("def f():\n    raise ValueError('a\\nb')\n\nf()\n", "mine.py, line 2: ValueError: a b"),
        ("from deeplab_ksac.experiment import part\npart(3)\n", "mine.py, line 2: ImportPathError: a part is"),
        ("from deeplab_ksac import import_paths\nimport_paths.check_no_file_is_run('training')\n",
         "line 2: ImportPathError: training cannot begin in a file that is run for what it defines"),
    ),
)  # fmt: skip
def test_a_file_that_fails_is_said_with_its_line(text, words, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    before = set(sys.modules)
    with pytest.raises(import_paths.ImportPathError, match=words) as refused:
        load_file(tmp_path / "mine.py")
    assert "\n" not in str(refused.value) and not {name for name in set(sys.modules) - before if "mine" in name}
    import_paths.check_no_file_is_run("training")


def test_names_may_begin_with_any_letter_that_python_takes(tmp_path, monkeypatch):
    (tmp_path / "übung.py").write_text("class Äste:\n    class Éclat:\n        pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for module in (load_file(tmp_path / "übung.py"), importlib.import_module("übung")):
        for thing in (vars(module)["Äste"], vars(module)["Äste"].Éclat):
            assert resolve(path_of(thing)) is thing
    with pytest.raises(ValueError, match="is no import path"):
        resolve("3fold:Mine")


def test_what_was_run_of_a_file_is_known_after_it_was_edited(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Mine:\n    pass\n")
    assert import_paths.content_of(path) == path.read_bytes()
    load_file(path)
    path.write_text("class Mine:\n    edited = True\n")
    assert import_paths.content_of(path) == b"class Mine:\n    pass\n"
    load_file(path)
    assert import_paths.content_of(path) == path.read_bytes()
    path.unlink()
    assert b"edited" in import_paths.content_of(path)


def test_a_path_that_cannot_be_looked_at_is_said_in_one_line(tmp_path):
    path = tmp_path / f"{'x' * 300}.py"
    assert import_paths.about_missing(path) == f"{path} cannot be read: File name too long"
    with pytest.raises(ValueError, match=r"x\.py cannot be read: File name too long"):
        load_file(path)
    (tmp_path / "mine").touch()
    assert "there is no folder" in import_paths.about_missing(tmp_path / "mine/mine.py")


def test_a_script_that_is_edited_while_it_runs_is_known_as_it_was_begun(tmp_path, monkeypatch):
    script, text = tmp_path / "script.py", "class Mine:\n    pass\n"
    script.write_text(text)
    main = types.ModuleType("__main__")
    main.__file__, main.__spec__ = str(script), None
    exec(text, vars(main))
    monkeypatch.setitem(sys.modules, "__main__", main)
    path = part(main.Mine).name
    script.write_text("class Mine:\n    edited = True\n")
    assert import_paths.content_of(script).decode() == text
    assert resolve(path) is main.Mine
    for folder, content in (("copy", text), ("other", script.read_text())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "script.py").write_text(content)
        found = resolve(f"{tmp_path}/{folder}/script.py:Mine")
        assert (found is main.Mine) == (content == text)
    script.unlink()
    assert resolve(path) is main.Mine
