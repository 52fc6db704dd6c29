"""Conversion against reading and checking the same raw files and nothing else, both on all cores: 500×375 pictures.

And Cityscapes' labels from polygons, drawn by the makers' rule, against Pillow's polygons, which were drawn before.
"""

import io
import json
import pathlib
import shutil
import tempfile

import numpy as np
from PIL import Image, ImageDraw

from deeplab_ksac.datasets import processes, records
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.raw import read_mask
from deeplab_ksac.datasets.sources import cityscapes, folder, scenes
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


def polygon_files():
    """Generated files of Cityscapes' polygons, made once a process: outlines of whole pixels, a few large, most small.

    Each has 60 to 100 polygons of 20 to 200 corners on 2048×1024.
    """
    if len(POLYGON_FILES) < FILES:
        place = tempfile.TemporaryDirectory(prefix="benchmark_")
        FOLDERS.append(place)
        rng = np.random.default_rng(0)
        names = [name for name, number in cityscapes.NUMBERS.items() if number > 0]
        for number in range(FILES):
            objects = [
                {"label": str(rng.choice(names)), "polygon": outline(rng, reach).tolist()}
                for reach in (*rng.uniform(300, 900, 10), *np.geomspace(8, 700, rng.integers(50, 91)))
            ]
            path = pathlib.Path(place.name, f"{number}.json")
            path.write_text(json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": objects}))
            POLYGON_FILES.append(path)
    return POLYGON_FILES


POLYGON_FILES, FILES = [], 20


def outline(rng, reach):
    """A smooth closed outline around any point of the picture: whole numbers [n, 2]."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(20, 201)))
    radius = reach + sum(rng.normal(0, reach / 4 / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 7))
    corners = rng.uniform(0, (2048, 1024)) + np.stack([1.5 * np.cos(angle), 0.6 * np.sin(angle)], 1) * radius[:, None]
    return np.clip(np.round(corners), 0, (2047, 1023)).astype(int)


def prepare_pillow():
    """Reads the files of polygons and draws them with Pillow, outline included: as before the makers' rule."""
    files = polygon_files()

    def run():
        for path in files:
            content = json.loads(path.read_text())
            canvas = Image.new("L", (content["imgWidth"], content["imgHeight"]))
            draw = ImageDraw.Draw(canvas)
            for one in content["objects"]:
                corners = [tuple(point) for point in one["polygon"]]
                draw.polygon(corners, fill=cityscapes.NUMBERS[one["label"]])
            cityscapes.TABLE(np.asarray(canvas), path)

    return run


def prepare_rows():
    """Reads the same files and draws them as conversion does."""
    files = polygon_files()

    def run():
        for path in files:
            cityscapes.draw_polygons(path, cityscapes.LABELS)

    return run


CASES = {
    "conversion": Case(
        title="conversion, 500×375, against reading and checking",
        sides={"checking": prepare_checking, "converting": prepare_converting},
        bounds=(Bound("converting", "checking", 1 / 0.7),),
    ),
    "cityscapes_polygons": Case(
        title="Cityscapes' polygons, 2048×1024, against Pillow's",
        sides={"pillow": prepare_pillow, "rows": prepare_rows},
        bounds=(Bound("rows", "pillow", 1.0),),
    ),
}
