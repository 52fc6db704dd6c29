"""Paths of this machine and addresses in object stores: one set of methods."""

import io
import pathlib

import pytest

from deeplab_ksac import storage
from deeplab_ksac.only_one import only_one
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.storage import RemotePath, absolute, is_remote, local, matching, place
from deeplab_ksac.storage.copies import kept_on_this_machine, move_folder, on_this_machine, upload_folder
from deeplab_ksac.whole_files import append, check_writable, write_whole
from tests.stores import STORES


@pytest.fixture(scope="module", params=STORES)
def store(request):
    with STORES[request.param]() as address:
        yield place(address)


def test_a_path_without_a_scheme_is_a_plain_path(tmp_path):
    for path in ("runs/a", tmp_path, "C:\\runs", "a:b", "./ram:/x"):
        assert type(place(path)) is type(pathlib.Path()) and place(path) == pathlib.Path(path)
        assert not is_remote(path)
    assert absolute("a/../b") == pathlib.Path.cwd() / "b"


def test_an_address_has_the_methods_of_a_path():
    path = place("gs://bucket//runs/./a/ckpt-20.index")
    like = pathlib.PurePosixPath("/bucket/runs/a/ckpt-20.index")
    assert str(path) == path.__fspath__() == "gs://bucket/runs/a/ckpt-20.index"
    for name in ("name", "stem", "suffix"):
        assert getattr(path, name) == getattr(like, name)
    assert path.parent == place("gs://bucket/runs/a") and path.parents[-1] == RemotePath("gs://")
    assert path.with_suffix(".seal").name == "ckpt-20.seal" and path.with_name("x").parent == path.parent
    assert path.relative_to(place("gs://bucket")).as_posix() == "runs/a/ckpt-20.index"
    assert sorted([path, path.parent]) == [path.parent, path] and len({path, place(str(path))}) == 1
    with pytest.raises(ValueError, match=r"gs://bucket/../other has '..' in it"):
        place("gs://bucket/../other")


def test_an_address_that_became_a_path_is_refused():
    with pytest.raises(ValueError, match=r"gs:/bucket/run was an address before it became a pathlib\.Path"):
        place(pathlib.Path("gs://bucket/run"))


def test_files_are_written_read_listed_and_removed(store):
    folder = store / "files"
    folder.mkdir(parents=True)
    assert not (folder / "a.txt").exists()
    for name in ("a.txt", "b[1].txt", "empty", "inner/c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, f"of {name}" if name != "empty" else "")
    assert [path.name for path in folder.iterdir()] == ["a.txt", "b[1].txt", "empty", "inner"]
    assert [str(path) for path in folder.glob("*/*.txt")] == [f"{folder}/inner/c.txt"]
    assert matching(f"{folder}/*.txt") == [folder / "a.txt", folder / "b[1].txt"]
    assert {path.name for path in folder.rglob("*")} == {"a.txt", "b[1].txt", "empty", "c.txt"}
    assert (folder / "empty").read_bytes() == b"" and (folder / "b[1].txt").stat().st_size == len("of b[1].txt")
    assert folder.is_dir() and not folder.is_file() and (folder / "a.txt").is_file()
    write_whole(folder / "a.txt", "new")
    append(folder / "a.txt", " and more")
    assert (folder / "a.txt").read_text() == "new and more"
    with (folder / "a.txt").open("rb") as stream:
        stream.seek(4)
        assert stream.read(3) == b"and"
    (folder / "a.txt").unlink()
    (folder / "a.txt").unlink(missing_ok=True)
    for missing in (lambda: (folder / "a.txt").unlink(), (folder / "a.txt").read_bytes, (folder / "a.txt").stat):
        with pytest.raises(FileNotFoundError, match=f"{folder}/a.txt"):
            missing()
    with pytest.raises(OSError, match="is not empty"):
        folder.rmdir()
    with pytest.raises(FileExistsError):
        folder.mkdir()
    assert list((store / "nowhere").iterdir()) == []
    check_writable(store / "to" / "come")


class Broken(io.BytesIO):
    """A source of which the first bytes can be read."""

    error = OSError("the disk is gone")

    def read(self, size=-1):
        if self.tell():
            raise self.error
        return super().read(4)


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()], ids=type)
@pytest.mark.parametrize("shows", ["while it grows", "when it is closed"])
def test_a_source_that_breaks_off_leaves_what_was_there(store, monkeypatch, shows, error):
    folder = store / f"broken {shows}" / type(error).__name__
    folder.mkdir(parents=True)
    write_whole(folder / "a", b"before")
    monkeypatch.setattr(Broken, "error", error)
    with monkeypatch.context() as patch:
        if shows == "when it is closed":
            patch.setattr("deeplab_ksac.storage.of_tensorflow.WHOLE", (store.scheme,))
        for name in ("a", "new"):
            with pytest.raises(type(error)):
                folder.files.put(str(folder / name), Broken(b"after that"))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"before"}
        for name, content in (("new", b"whole"), ("empty", b"")):
            write_whole(folder / name, content)
            assert (folder / name).read_bytes() == content
    write_whole(folder / "a", b"after")
    assert {path.name for path in folder.iterdir()} == {"a", "new", "empty"} and (folder / "a").read_text() == "after"


def test_a_folder_is_copied_and_moved(store, tmp_path):
    for name in ("last.json", "a/first", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    upload_folder(tmp_path, store / "copied", last=("last.json",))
    move_folder(store / "copied", store / "moved")
    assert not (store / "copied").exists()
    assert {path.name: path.read_text() for path in (store / "moved").rglob("*")} == {
        "last.json": "last.json",
        "first": "a/first",
        "z": "z",
    }


def test_a_copy_on_this_machine_is_taken_again_and_follows_the_store(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = store / "copied" / "weights.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, b"first")
    write_whole(path.with_name("config.json"), b"{}")
    with on_this_machine(path) as here:
        assert here.read_bytes() == b"first" and here.name == "weights.h5"
    assert not here.exists()
    kept = kept_on_this_machine(path, beside=["config.json", "absent"])
    assert kept.read_bytes() == b"first" and {each.name for each in kept.parent.iterdir()} == {"config.json", kept.name}
    assert kept_on_this_machine(path, beside=["config.json"]) == kept
    write_whole(path, b"second")
    assert kept_on_this_machine(path).read_bytes() == b"second"


def test_nothing_locks_an_object_store_and_a_warning_says_so(store, caplog):
    with only_one(store / "run" / ".lock", busy=OSError), only_one(store / "run" / ".lock", busy=OSError):
        pass
    assert f"{store / 'run'} cannot be locked (an object store has no locks)" in caplog.text


def test_what_has_to_be_on_this_machine_says_so_of_an_address(tmp_path):
    assert local(tmp_path, "it") == local(str(tmp_path), "it") == tmp_path
    for address in ("gs://bucket/run", place("gs://bucket/run")):
        with pytest.raises(
            ValueError, match=r"^it must be on this machine, not at the address gs://bucket/run; name a"
        ):
            local(address, "it")


def test_an_output_that_is_an_input_is_refused_by_its_address():
    with pytest.raises(FileExistsError, match="holds gs://bucket/run/ckpt, which is read"):
        check_inputs_stay(["gs://bucket/run/ckpt"], ["gs://bucket//run"])
    check_inputs_stay(["gs://bucket/run"], ["gs://bucket/runs", "run"])


def test_an_unknown_store_is_one_line():
    with pytest.raises(OSError, match="nowhere:// is opened neither by TensorFlow nor by fsspec"):
        storage.exists("nowhere://a/b")
