"""Conversion against reading and checking the same raw files and nothing else, both on all cores: 500×375 pictures."""

import io
import pathlib
import shutil
import tempfile

import numpy as np
from PIL import Image

from deeplab_ksac.datasets import processes, records
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.raw import read_mask
from deeplab_ksac.datasets.sources import folder, scenes
from deeplab_ksac.scripts.cases import Bound, Case

PAINTED, IMAGES, PER_TASK = 32, 512, 16
INFO = DatasetInfo("folder", scenes.INFO.class_names, scenes.INFO.colors)


def raw_folder():
    """A raw folder with generated pictures of VOC's usual size, each several times, made once a process."""
    if not FOLDERS:
        place = tempfile.TemporaryDirectory(prefix="benchmark_")
        FOLDERS.append(place)
        root = pathlib.Path(place.name, "raw")
        scenes.generate(root, counts={"train": PAINTED}, size=(375, 500))
        for kind in ("images", "masks"):
            for path in sorted((root / kind / "train").iterdir()):
                for copy in range(1, IMAGES // PAINTED):
                    shutil.copy(path, path.with_stem(f"{path.stem}_{copy}"))
        (root / "classes.txt").write_text("\n".join(INFO.class_names))
    return pathlib.Path(FOLDERS[0].name)


FOLDERS = []  # kept until the process ends


def prepare_checking():
    """Reads every image and mask, decodes both completely and looks for values outside the classes."""
    items = folder.examples(raw_folder() / "raw", "train")

    def check(numbers, tick):
        for number in numbers:
            _, image, mask = items.entries[number]
            picture = np.asarray(Image.open(io.BytesIO(image.read_bytes())).convert("RGB"))
            labels = read_mask(mask)
            assert picture.shape[:2] == labels.shape
            assert not ((labels >= INFO.num_classes) & (labels != 255)).any()
            tick()

    tasks = [range(first, first + PER_TASK) for first in range(0, IMAGES, PER_TASK)]

    def run():
        for _ in processes.run_tasks(check, tasks, processes=processes.number_of_cores()):
            pass

    return run


def prepare_converting():
    """Converts the same files, from the listing of the folder to the finished data set."""
    place = raw_folder()

    def run():
        records.write_records("folder", place / "raw", place / "data", overwrite=True, shards=IMAGES // PER_TASK)

    return run


CASES = {
    "conversion": Case(
        title="conversion, 500×375, against reading and checking",
        sides={"checking": prepare_checking, "converting": prepare_converting},
        bounds=(Bound("converting", "checking", 1 / 0.7),),
    )
}
