"""A process that ends before any of its writes to an object store leaves what was there, or what was to be there."""

import contextlib
import dataclasses
import itertools

import pytest

from deeplab_ksac.datasets.info import is_converted
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.models.folder import read_model, save_model
from deeplab_ksac.models.places import find
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import best_path, keep_if_best
from deeplab_ksac.runs.checkpoints import LostCheckpointsError, prepare_stages
from deeplab_ksac.storage import place
from deeplab_ksac.storage.of_tensorflow import TensorFlowFiles
from tests import fakes
from tests.deeplab_ksac.runs.test_seals import Saved
from tests.stores import ram

CHANGES = ("put", "remove", "remove_dir", "make_dir")


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@contextlib.contextmanager
def killed_before(number):
    """Inside, the process ends before its change of that number, and changes nothing more; whether it came to that."""
    count = itertools.count()

    def cut(method):
        def changed(files, *arguments):
            if next(count) >= number:
                raise KilledError
            return method(files, *arguments)

        return changed

    ended = []
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(TensorFlowFiles, name, cut(getattr(TensorFlowFiles, name)))
        with contextlib.suppress(KilledError):
            yield ended
            ended.append("whole")


def every_cut(work, check):
    """Does the work in a new store, killed before each of its changes in turn, and checks what is there then."""
    for number in itertools.count():
        with ram() as address:
            ready = work(place(address))
            next(ready)
            with killed_before(number) as ended:
                next(ready, None)
            check(place(address), bool(ended))
            if ended:
                return number
    return None


def test_a_checkpoint_is_there_or_the_one_before_it():
    def work(store):
        saved = Saved(store)
        saved.save(10, 20)
        yield
        saved.save(30)

    def check(store, ended):
        prepare_stages(store, 1)
        left = Saved(store)
        assert left.restored() == (30 if ended else left.checkpoints.newest()) in (20, 30)
        left.save(30, 40)
        assert left.restored() == 40

    assert every_cut(work, check) > 5


def test_the_best_checkpoint_is_there_or_the_one_before_it():
    def work(store):
        Saved(store, keep=5).save(10, 20)
        keep_if_best(store, 0, 10, {"miou": 0.1, "images": 3})
        yield
        keep_if_best(store, 0, 20, {"miou": 0.2, "images": 3})

    def check(store, ended):
        assert best_path(store).endswith("ckpt-20") or (best_path(store).endswith("ckpt-10") and not ended)
        prepare_stages(store, 1)
        keep_if_best(store, 0, 20, {"miou": 0.2, "images": 3})
        assert best_path(store).endswith("ckpt-20") and seals.steps_in(store / "best/stage_0") == [20]

    assert every_cut(work, check) > 5


def test_lost_checkpoints_are_set_aside_whole():
    def work(store):
        saved = Saved(store)
        saved.save(10, 20)
        for step in (10, 20):
            (saved.folder / f"ckpt-{step}.index").unlink()
        yield
        prepare_stages(store, 1, start_over=True)

    def check(store, ended):
        aside = {path.name for path in store.rglob("*") if "set_aside_" in str(path)}
        there = {path.name for path in (store / "stage_0").rglob("*")}
        assert {f"ckpt-{step}.seal" for step in (10, 20)} <= aside | there and not (ended and there)
        with contextlib.suppress(LostCheckpointsError):
            prepare_stages(store, 1)
        prepare_stages(store, 1, start_over=True)
        assert Saved(store).restored() == 0

    assert every_cut(work, check) > 5


def test_a_converted_set_counts_once_it_is_whole(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 2, "val": 1})
    options = {"shards": 1, "processes": 1}
    write_records("folder", raw, tmp_path / "data", **options)
    folder = tmp_path / "data" / "folder" / "1.0.0"
    expected = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "dataset_info.json"}

    def work(store):
        yield
        write_records("folder", raw, store, **options)

    def check(store, ended):
        assert is_converted("folder", store) >= ended
        if not is_converted("folder", store):
            write_records("folder", raw, store, **options)
        left = {path.name: path for path in (store / "folder/1.0.0").rglob("*")}
        found = {name: path.read_bytes() for name, path in left.items() if not path.parent.name.startswith(".")}
        assert found.pop("dataset_info.json") and found == expected

    assert every_cut(work, check) > 8
    with ram() as address:
        write_records("folder", raw, address, **options)
        with pytest.raises(ValueError, match="in an object store no folder can be replaced at once"):
            write_records("folder", raw, address, overwrite=True, **options)
        with pytest.raises(ValueError, match=f"{address} is read by several processes and must be on this machine"):
            write_records("folder", address, tmp_path / "other", **options)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    from deeplab_ksac.runs.checkpoints import load_model
    from tests.deeplab_ksac.runs.trained_run import trained_run

    with trained_run(tmp_path_factory.mktemp("run")) as there:
        yield load_model(there / "workdir")


def test_a_saved_model_is_found_once_it_is_whole(loaded):
    def work(store):
        yield
        save_model(dataclasses.replace(loaded, card="a card"), store / "model")

    def check(store, ended):
        if not ended:
            with pytest.raises(FileNotFoundError):
                find(str(store / "model"))
            save_model(loaded, store / "model")
        found = read_model(store / "model").model
        assert all((a == b).all() for a, b in zip(found.get_weights(), loaded.model.get_weights(), strict=True))
        with pytest.raises(FileExistsError, match="in an object store no folder can be replaced at once"):
            save_model(loaded, store / "model", overwrite=True)

    assert every_cut(work, check) > 3
