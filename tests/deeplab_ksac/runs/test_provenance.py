"""What a run records of the code that made it."""

import importlib.util
import shutil
import subprocess

from deeplab_ksac.runs import provenance


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def copied(folder):
    """The module as it is where a copy of the package is in a folder."""
    path = folder / "deeplab_ksac/runs/provenance.py"
    path.parent.mkdir(parents=True)
    shutil.copy(provenance.__file__, path)
    spec = importlib.util.spec_from_file_location("copied", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commit_is_that_of_the_repository_which_holds_the_code(tmp_path):
    git(tmp_path, "init")
    module = copied(tmp_path)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "all")
    assert module.code_version() == {"commit": git(tmp_path, "rev-parse", "HEAD"), "modified": False}
    (tmp_path / "more").write_text("")
    assert module.code_version()["modified"]


def test_a_package_installed_below_another_repository_has_no_commit(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "of another project")
    installed = copied(tmp_path / ".venv/lib/site-packages")
    assert installed.code_version() == {"commit": None, "modified": None}
