"""Our training pipeline against PyTorch's DataLoader on the same pictures: processor time of decoding, scaling by 0.5
to 2, padding and cropping to 513×513, flipping and batches of 16.

Both sides have the same files: JPEGs as they lie in a converted set, `PIPELINE_RECORDS=<data_dir>/<name>/<split>` (as
in `pipeline_records`), and generated PNGs of Cityscapes' size; labels are gray PNGs. PyTorch's side augments by
albumentations (OpenCV) or by torchvision's `transforms.v2`, in two processes, and normalizes, for its networks take it
so; ours do that themselves. A library that the interpreter for PyTorch does not have is no side; without any there is
no case.
"""

import functools
import json
import pathlib
import tempfile

import numpy as np
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import encoding, pipeline, records
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.experiment import Data
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process, torch_has
from deeplab_ksac.scripts.cases.pipeline import BATCH, GENERATED, RECORDS, take

TORCH_SIDE = pathlib.Path(__file__).with_name("torch_input.py")
LIBRARIES = {"albumentations": ("albumentations", "cv2"), "torchvision": ("torchvision",)}  # -> what it needs
AT_MOST = 0.8
WORKERS, SIZE = 2, 513
LARGE, LARGE_IMAGES = (1024, 2048), 16
NOISE = 2.0  # deviation of what is added to a generated picture: without it a PNG has a tenth of a photograph's bytes
FOLDERS = []  # kept until the process ends


def folder() -> pathlib.Path:
    """A folder that goes with the process."""
    FOLDERS.append(tempfile.TemporaryDirectory(prefix="benchmark_"))
    return pathlib.Path(FOLDERS[-1].name)


@functools.cache
def large_pngs(images: int = LARGE_IMAGES, size: tuple[int, int] = LARGE) -> pathlib.Path:
    """A data directory with a converted set of PNGs, painted and with a photograph's noise."""
    raw, data_dir = folder(), folder()
    scenes.generate(raw, counts={"train": images}, size=size)
    rng = np.random.default_rng(0)
    for file in (raw / "images" / "train").glob("*.jpg"):
        noisy = np.asarray(Image.open(file)) + rng.normal(0, NOISE, (*size, 3))
        Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(file.with_suffix(".png"))
        file.unlink()
    records.write_records("scenes", raw, data_dir)
    return data_dir


@functools.cache
def as_files(data_dir: pathlib.Path, source: str) -> pathlib.Path:
    """The pictures and labels of a converted split as files, to the byte as they are stored."""
    files, _ = records.shard_files(*source.split("/"), data_dir)
    target = folder()
    for kind in ("images", "labels"):
        (target / kind).mkdir()
    for number, serialized in enumerate(tf.data.TFRecordDataset(files)):
        features = tf.train.Example.FromString(serialized.numpy()).features.feature
        image, labels = (features[key].bytes_list.value[0] for key in (encoding.IMAGE, encoding.LABELS))
        suffix = "png" if image.startswith(encoding.PNG_SIGNATURE) else "jpg"
        (target / "images" / f"{number:05}.{suffix}").write_bytes(image)
        (target / "labels" / f"{number:05}.png").write_bytes(labels)
    return target


def prepare_ours(data_dir, source, pictures, told):
    """Takes so many pictures from the training stream; seconds of processor time."""
    stream = pipeline.train_batches(**vars(Data((source,))), data_dir=data_dir(), batch_size=BATCH, seed=0)
    batches = iter(stream)
    shares = [np.mean(next(batches)["labels"] == encoding.IGNORE_LABEL) for _ in range(4)]
    told.append(f"ours: {np.mean(shares):.3f} of the pixels of {4 * BATCH} crops without a class")
    return functools.partial(take, batches, pictures)


def prepare_torch(library, data_dir, source, pictures, told):
    """The same of a DataLoader, in processes of its own."""
    options = {
        "library": library,
        "folder": str(as_files(data_dir(), source)),
        "size": SIZE,
        "scales": Data((source,)).scales,
        "batch": BATCH,
        "pictures": pictures,
        "workers": WORKERS,
    }

    def greeted(line):
        greeting = json.loads(line)
        told.append(f"{library}: {greeting['ignored']:.3f} of the pixels of {greeting['crops']} crops without a class")
        expected = [[BATCH, 3, SIZE, SIZE], [BATCH, SIZE, SIZE]]
        if greeting["shapes"] != expected or greeting["types"] != ["torch.float32", "torch.int64"]:
            raise ValueError(f"{library} gives {greeting}, which is not the same work")

    return prepare_process(TORCH_SIDE, [json.dumps(options)], library, greeted=greeted)


def case(title, data_dir, source, pictures):
    """Ours against each library that there is, on the records of `source` in the folder that `data_dir()` gives."""
    told: list[str] = []
    arguments = {"data_dir": data_dir, "source": source, "pictures": pictures, "told": told}
    peers = {name: functools.partial(prepare_torch, name, **arguments) for name in AVAILABLE}
    return Case(
        title=title,
        sides={"ours": functools.partial(prepare_ours, **arguments), **peers},
        bounds=tuple(Bound("ours", name, AT_MOST) for name in peers),
        work=dict.fromkeys(("ours", *peers), pictures),
        told=lambda: told,
    )


AVAILABLE = [name for name, packages in LIBRARIES.items() if torch_has("torch", *packages)]
CASES = {}
if AVAILABLE:
    CASES["peers_input_png"] = case("input at 513×513, PNGs of 2048×1024", large_pngs, GENERATED, 4 * BATCH)
if AVAILABLE and RECORDS:
    *_, NAME, SPLIT = pathlib.PurePath(RECORDS).parts
    CASES["peers_input_records"] = case(
        f"input at 513×513, {NAME}/{SPLIT}", lambda: pathlib.Path(RECORDS).parents[1], f"{NAME}/{SPLIT}", 16 * BATCH
    )
