"""Tiny raw data sets in their official layouts, generated."""

import pathlib

import numpy as np
from PIL import Image

SIZE = (24, 32)


def picture(seed, size=SIZE):
    """A smooth random picture: uint8 [H, W, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.BILINEAR))


def labels(seed, num_classes, size=SIZE, ignore=True):
    """Blocks of random labels with an ignored line: uint8 [H, W]."""
    blocks = np.random.default_rng(seed).integers(0, num_classes, (3, 4), dtype=np.uint8)
    mask = np.asarray(Image.fromarray(blocks).resize(size[::-1], Image.NEAREST)).copy()
    if ignore:
        mask[size[0] // 2] = 255
    return mask


def write_palette_mask(path, mask):
    """A palette PNG as PASCAL VOC has them."""
    image = Image.fromarray(mask, mode="P")
    image.putpalette([(37 * i) % 256 for i in range(768)])
    image.save(path)


def write_folder(root, counts, *, num_classes=3, size=SIZE):
    """A `folder` data set: counts is {split: images}; sizes differ from image to image."""
    root = pathlib.Path(root)
    for split, count in counts.items():
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            shape = (size[0] + i % 3, size[1] - i % 2)
            Image.fromarray(picture(i, shape)).save(root / "images" / split / f"p{i:02d}.jpg", quality=90)
            write_palette_mask(root / "masks" / split / f"p{i:02d}.png", labels(i, num_classes, shape))
    names = [f"thing {i}" if i else "ground 10 20 30" for i in range(num_classes)]
    (root / "classes.txt").write_text("\n".join(names) + "\n")
    return root


def write_voc2012(root, ids):
    """VOCdevkit/VOC2012 below `root`; ids is {split: [id]}; SegmentationClassAug only with a split train_aug."""
    devkit = pathlib.Path(root) / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (devkit / folder).mkdir(parents=True)
    for split, names in ids.items():
        masks = devkit / ("SegmentationClassAug" if split == "train_aug" else "SegmentationClass")
        masks.mkdir(exist_ok=True)
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{n}\n" for n in names))
        for i, name in enumerate(names):
            Image.fromarray(picture(i)).save(devkit / "JPEGImages" / f"{name}.jpg")
            write_palette_mask(masks / f"{name}.png", labels(i, 21))
    return pathlib.Path(root)


def write_camvid(root, counts):
    """SegNet's CamVid: grayscale masks with 11 for void, lists with the paths of another machine."""
    root = pathlib.Path(root)
    for split, count in counts.items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for i in range(count):
            name = f"0001TP_{i:06d}.png"
            Image.fromarray(picture(i)).save(root / split / name)
            mask = labels(i, 11, ignore=False)
            mask[0] = 11
            Image.fromarray(mask).save(root / f"{split}annot" / name)
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))
    return root
