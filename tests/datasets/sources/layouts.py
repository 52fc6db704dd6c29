"""Tiny raw data sets in the layouts of the official downloads; values of masks are chosen by the caller."""

import json
import pathlib

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy import io, sparse

from deeplab_ksac.datasets.info import DatasetError
from tests import fakes


def save_image(path, seed, size=fakes.SIZE):
    """A JPEG or PNG with a random picture, in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fakes.picture(seed, size)).save(path)


def save_mask(path, values):
    """A grayscale PNG of indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def save_matlab(path, **variables):
    """A MATLAB file of version 5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    io.savemat(path, variables, do_compression=True)


def save_matlab_73(path, **variables):
    """A MATLAB file of version 7.3: HDF5 behind a header of 512 bytes, arrays transposed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file[name] = values.T
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)


def values_from(numbers, seed, size=fakes.SIZE, dtype=np.uint8):
    """Blocks [H, W] of values drawn from `numbers`."""
    drawn = np.random.default_rng(seed).choice(np.asarray(numbers), (4, 5))
    rows, columns = (np.arange(n) * k // n for n, k in zip(size, drawn.shape))
    return drawn[np.ix_(rows, columns)].astype(dtype)


def write_sbd(root, ids, size=fakes.SIZE):
    """SBD's benchmark_RELEASE/dataset; ids is {"train": [id], "val": [id]}."""
    folder = pathlib.Path(root) / "benchmark_RELEASE" / "dataset"
    for split, names in ids.items():
        for name in names:
            seed = sum(map(ord, name))
            save_image(folder / "img" / f"{name}.jpg", seed, size)
            save_matlab(folder / "cls" / f"{name}.mat", GTcls=_class_map(values_from(range(21), seed, size)))
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return pathlib.Path(root)


def _class_map(segmentation):
    """The struct of SBD's class maps, with the boundaries that nobody needs here."""
    boundaries = np.empty((20, 1), object)
    for label in range(20):
        boundaries[label, 0] = sparse.csc_matrix(segmentation == label + 1)
    present = np.setdiff1d(np.unique(segmentation), [0]).astype(np.float64)[:, np.newaxis]
    return {"Boundaries": boundaries, "Segmentation": segmentation, "CategoriesPresent": present}


def write_ade20k(root, numbers):
    """ADEChallengeData2016; numbers is {split: [number of the image]}. 0 and 150 are in every mask."""
    folder = pathlib.Path(root) / "ADEChallengeData2016"
    for split, found in numbers.items():
        place = {"train": "training", "val": "validation"}[split]
        for number in found:
            name = f"ADE_{split}_{number:08d}"
            save_image(folder / "images" / place / f"{name}.jpg", number)
            mask = values_from(range(151), number)
            mask[0, :2] = 0, 150
            save_mask(folder / "annotations" / place / f"{name}.png", mask)
    return pathlib.Path(root)


def write_cityscapes(root, frames):
    """leftImg8bit and gtFine (labelIds); frames is {split: [city_000000_000019]}; `test` is all void."""
    root = pathlib.Path(root)
    for split, names in frames.items():
        for i, name in enumerate(names):
            city = name.split("_")[0]
            save_image(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", i)
            values = values_from([3] if split == "test" else range(34), i)
            save_mask(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", values)
    return root


def write_context(root, ids, size=fakes.SIZE):
    """VOCdevkit/VOC2010 with images and lists, no labels; ids is {split: [id]}; returns the folder VOC2010."""
    voc = pathlib.Path(root) / "VOCdevkit" / "VOC2010"
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    for split, names in ids.items():
        (voc / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for i, name in enumerate(names):
            save_image(voc / "JPEGImages" / f"{name}.jpg", i, size)
    return voc


def write_coco_stuff10k(root, maps):
    """COCO-Stuff 10K; maps is {split: {id: values of S}}."""
    root = pathlib.Path(root)
    (root / "imageLists").mkdir(parents=True)
    for split, found in maps.items():
        (root / "imageLists" / f"{split}.txt").write_text("".join(f"{name}\n" for name in found))
        for i, (name, values) in enumerate(found.items()):
            save_image(root / "images" / f"{name}.jpg", i, values.shape)
            regions = np.arange(values.size, dtype=np.uint16).reshape(values.shape)
            save_matlab(root / "annotations" / f"{name}.mat", S=values, regionMapStuff=regions)
    return root


def write_coco_stuff164k(root, maps, *, images="images", masks="annotations"):
    """COCO-Stuff 164K; maps is {split: {id: values}}."""
    root = pathlib.Path(root)
    for split, found in maps.items():
        for i, (name, values) in enumerate(found.items()):
            save_image(root / images / f"{split}2017" / f"{name}.jpg", i, values.shape)
            save_mask(root / masks / f"{split}2017" / f"{name}.png", values)
    return root


def write_coco(root, annotations, categories, *, size=fakes.SIZE, split="train"):
    """COCO 2017's instances; annotations is {image id: [(category, segmentation, area, iscrowd)]}."""
    root = pathlib.Path(root)
    (root / f"{split}2017").mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": [{"id": i, "name": n} for i, n in categories.items()]}
    for image, found in annotations.items():
        name = f"{image:012d}.jpg"
        save_image(root / f"{split}2017" / name, image, size)
        content["images"].append({"id": image, "file_name": name, "height": size[0], "width": size[1]})
        for category, segmentation, area, crowd in found:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": image,
                    "category_id": category,
                    "segmentation": segmentation,
                    "area": area,
                    "iscrowd": crowd,
                }
            )
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    return root


def refusal_of(source, root):
    """The one line with which a source's classes or the labels of its splits are refused."""
    with pytest.raises(DatasetError) as caught:
        source.read_info(root)
        [item["label"] for split in source.find_splits(root) for item in source.examples(root, split)]
    assert "\n" not in str(caught.value)
    return str(caught.value)
