"""PyTorch's side of the comparison of inputs, run by an interpreter with torch and albumentations or torchvision.

    python torch_input.py '{"library": "albumentations", "folder": "/pictures", "scales": [0.5, 1, 2], …}'

The folder has `images/*.jpg` or `.png` and `labels/*.png` of the same names. Each turn takes so many pictures from a
DataLoader and tells the seconds of processor time of all its processes, with what they then prepare ahead. It imports
nothing of this project.
"""

import json
import os
import pathlib
import random
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

MEAN, DEVIATION, IGNORED = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255
FILLING = tuple(round(255 * value) for value in MEAN)
TICKS = os.sysconf("SC_CLK_TCK")
CROPS = 64  # before the first turn
QUIET = 0.3  # seconds in which no process works, after which nothing is being prepared any more


def of_albumentations(size, scales):
    """(image path, label path) -> (float32 [3, size, size], int64 [size, size]), by OpenCV."""
    import albumentations as A
    import cv2
    from albumentations.pytorch import ToTensorV2

    cv2.setNumThreads(0)
    transform = A.Compose(
        [
            A.OneOf([A.RandomScale((scale - 1, scale - 1), p=1) for scale in scales], p=1),
            A.PadIfNeeded(size, size, border_mode=cv2.BORDER_CONSTANT, fill=FILLING, fill_mask=IGNORED),
            A.RandomCrop(size, size),
            A.HorizontalFlip(p=0.5),
            A.Normalize(MEAN, DEVIATION),
            ToTensorV2(),
        ]
    )

    def read(image, labels):
        picture = cv2.cvtColor(cv2.imread(image, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        made = transform(image=picture, mask=cv2.imread(labels, cv2.IMREAD_UNCHANGED))
        return made["image"], made["mask"].long()

    return read


def of_torchvision(size, scales):
    """The same by torchvision's own decoders and `transforms.v2`."""
    from torchvision import io, tv_tensors
    from torchvision.transforms import InterpolationMode, v2

    transform = v2.Compose(
        [
            v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Image: FILLING, tv_tensors.Mask: IGNORED}),
            v2.RandomHorizontalFlip(0.5),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ]
    )

    def read(image, labels):
        picture = io.decode_image(image, io.ImageReadMode.RGB)
        truth, scale = io.decode_image(labels, io.ImageReadMode.UNCHANGED), random.choice(scales)
        sides = [max(1, int(scale * side)) for side in picture.shape[1:]]
        if scale != 1:
            picture = v2.functional.resize(picture, sides, antialias=False)
            truth = v2.functional.resize(truth, sides, InterpolationMode.NEAREST)
        made, mask = transform(tv_tensors.Image(picture), tv_tensors.Mask(truth))
        return made.as_subclass(torch.Tensor), mask[0].as_subclass(torch.Tensor)

    return read


LIBRARIES = {"albumentations": of_albumentations, "torchvision": of_torchvision}


class Pictures(Dataset):
    """The pictures of a folder."""

    def __init__(self, folder, library, size, scales):
        images = {path.stem: path for path in pathlib.Path(folder, "images").iterdir()}
        self.pairs = [
            (str(images[stem]), str(pathlib.Path(folder, "labels", f"{stem}.png"))) for stem in sorted(images)
        ]
        self.make, self.read = lambda: LIBRARIES[library](size, scales), None

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        self.read = self.read or self.make()  # made in the worker
        return self.read(*self.pairs[index])


def processor_seconds(processes):
    """Of all threads of these processes; those of this one to the nanosecond, of others to the kernel's tick."""
    total = time.process_time()
    for process in processes:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def main(*, library, folder, size, scales, batch, pictures, workers):
    """Greets with the share of pixels that are padding, and takes pictures by turns."""
    data = Pictures(folder, library, size, scales)
    loader = DataLoader(
        data,
        batch,
        sampler=RandomSampler(data, replacement=True, num_samples=10**7),
        num_workers=workers,
        drop_last=True,
    )
    batches = iter(loader)
    processes = [worker.pid for worker in batches._workers]

    def quiet():
        before = -1.0
        while (now := processor_seconds(processes)) - before > 0.5 / TICKS:
            before = now
            time.sleep(QUIET)
        return now

    def take():
        start = quiet()
        for _ in range(pictures // batch):
            next(batches)
        return quiet() - start

    shares = []
    for _ in range(CROPS // batch):
        images, labels = next(batches)
        shares.append(float((labels == IGNORED).float().mean()))
    greeting = {
        "shapes": [list(images.shape), list(labels.shape)],
        "types": [str(images.dtype), str(labels.dtype)],
        "ignored": sum(shares) / len(shares),
        "crops": len(shares) * batch,
    }
    print(json.dumps(greeting), flush=True)
    for _ in sys.stdin:
        print(take(), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
