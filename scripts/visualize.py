"""Draws the thesis's figures for trained models: a PNG each, and the arrays behind it as npz.

    python scripts/visualize.py predictions      --workdir=runs/a,runs/b --data_dir=data --dataset=camvid/test --count=4
    python scripts/visualize.py branch_features  --workdir=runs/ksac,runs/aspp --images=street.jpg
    python scripts/visualize.py attention        --workdir=runs/caa --images=street.jpg --point=120,200
    python scripts/visualize.py class_dependency --workdir=runs/plain,runs/car --data_dir=data
    python scripts/visualize.py curves           --workdir=runs/a,runs/b

Figures: predictions (Figs. 2.5, 3.6–3.9), branch_features (2.4), attention_conflict (3.3, 3.4), attention,
pixel_relation (4.4, 4.6, 4.7), class_dependency (4.5), curves, confusion. Images come from `--images`, or with their
truth from `--dataset` (default: the split that the first run is evaluated on).
"""

import io
from pathlib import Path

import numpy as np
from absl import flags

from deeplab_ksac.prediction import images as image_files
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.whole_files import write_whole

FIGURES = (
    "predictions",
    "branch_features",
    "attention_conflict",
    "attention",
    "pixel_relation",
    "class_dependency",
    "curves",
    "confusion",
)


def define_flags():
    """Of which runs and images the figure is, and where it goes."""
    flags.DEFINE_list("workdir", None, "folders of training runs, shown side by side", required=True)
    flags.DEFINE_string("images", None, "files, folders or globs, comma-separated; no truth is known of them")
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets")
    flags.DEFINE_string("dataset", None, "name/split (default: the first run's evaluation)")
    flags.DEFINE_integer("count", 3, "how many images of the data set, evenly spread", lower_bound=1)
    flags.DEFINE_list("point", None, "row,column of the chosen pixel in the image (default: the middle)")
    flags.DEFINE_list("box", None, "top,left,height,width of a frame; found by the program where not given")
    flags.DEFINE_integer("channels", 25, "feature maps of each rate (branch_features)", lower_bound=1)
    flags.DEFINE_string("output_dir", None, "where to write (default: <first workdir>/figures)")


def run(figure, given):
    """Draws one figure (or one per image) and writes it."""
    from deeplab_ksac.runs import figures as figure_makers

    if figure not in FIGURES:
        raise ValueError(f"there is no figure {figure!r}; there are {', '.join(FIGURES)}")
    folder = Path(given.output_dir or Path(given.workdir[0], "figures"))
    for name, picture, arrays in getattr(figure_makers, figure)(Request(given)):
        write(folder, name, picture, arrays)
    return 0


def write(folder, name, picture, arrays):
    """Writes `<folder>/<name>.png` and `.npz`, and says so."""
    from deeplab_ksac.figures.colors import encode_png

    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(folder / f"{name}.npz", buffer.getvalue())
    write_whole(folder / f"{name}.png", encode_png(picture))
    print(folder / f"{name}.png")


class Request:
    """What a figure is to be of: runs, images, point, box; everything is read when it is asked for."""

    def __init__(self, given):
        self.given = given
        self._models = None

    @property
    def models(self):
        """{name of the run: `LoadedModel`}; all of one class set.

        Raises:
            ValueError: runs of different classes.
        """
        if self._models is None:
            from deeplab_ksac.runs.checkpoints import load_model

            self._models = {name: load_model(place) for name, place in self.places().items()}
            check_classes(self._models)
        return self._models

    def places(self):
        """{name: workdir}: the last part of each path, the whole where two are the same."""
        short = [Path(place).name for place in self.given.workdir]
        whole = len(set(short)) < len(short)
        return dict(zip(self.given.workdir if whole else short, self.given.workdir))

    @property
    def info(self):
        """Names and colors of the classes."""
        return next(iter(self.models.values())).info

    def dataset(self):
        """(name, split) of the data set.

        Raises:
            ValueError: neither it nor its folder is named.
        """
        from deeplab_ksac.datasets.info import load_info

        first = next(iter(self.models.values()))
        name, _, split = (self.given.dataset or first.experiment.evaluation.dataset).partition("/")
        if not self.given.data_dir:
            raise ValueError("this figure needs --data_dir, the folder of the converted data sets, or --images")
        converted = load_info(name, self.given.data_dir)
        if split not in converted.num_examples:
            raise ValueError(f"{name} has no split {split!r}; it has {', '.join(converted.num_examples)}")
        if converted.class_names != self.info.class_names:
            raise ValueError(f"{name} has other classes than the run {self.given.workdir[0]} was trained on")
        return name, split

    def batches(self):
        """The data set, image by image: {"image": [1, H, W, 3], "labels": [1, H, W]}, and how many there are."""
        from deeplab_ksac.datasets import pipeline
        from deeplab_ksac.datasets.info import load_info

        name, split = self.dataset()
        number = load_info(name, self.given.data_dir).num_examples[split]
        return pipeline.eval_batches(name, split, data_dir=self.given.data_dir), number

    def examples(self):
        """Yields (name, image float32 [H, W, 3], truth [H, W] or None)."""
        if self.given.images:
            for path in image_files.find_images(self.given.images):
                yield Path(path).stem, image_files.read_image(path).astype(np.float32), None
            return
        batches, number = self.batches()
        apart = max(number // self.given.count, 1)  # neighbors are often frames of one film
        for index, batch in enumerate(batches.shard(apart, 0).take(self.given.count)):
            yield f"{index * apart:05d}", batch["image"][0].numpy(), batch["labels"][0].numpy()

    def point(self, image):
        """The chosen pixel, (row, column)."""
        if self.given.point is None:
            return image.shape[0] // 2, image.shape[1] // 2
        return whole_numbers("point", self.given.point, 2)

    def boxes(self, predictions, truth):
        """The frames of one image: the given one, or where the predictions differ most."""
        from deeplab_ksac.figures.relations import largest_disagreement

        if self.given.box is not None:
            return (whole_numbers("box", self.given.box, 4),)
        several = list(predictions)
        if len(several) == 1 and truth is not None:
            several, truth = [*several, truth], None  # one model differs from the truth alone
        found = largest_disagreement(several, truth=truth) if len(several) > 1 else None
        return () if found is None else (found,)


def whole_numbers(flag, texts, count):
    """("1", "2") -> (1, 2).

    Raises:
        ValueError: not as many whole numbers as `count`.
    """
    try:
        numbers = tuple(int(text) for text in texts)
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise ValueError(f"--{flag} takes {count} whole numbers, comma-separated, not {','.join(texts)!r}")
    return numbers


def check_classes(models):
    """Raises ValueError where the runs do not have the same classes."""
    (first, model), *others = models.items()
    for name, other in others:
        if other.info.class_names != model.info.class_names:
            raise ValueError(
                f"{name} has other classes ({other.info.name}, {other.info.num_classes}) than {first} "
                f"({model.info.name}, {model.info.num_classes}); they cannot be shown side by side"
            )


if __name__ == "__main__":
    start("visualize", define_flags, run, arguments={"figure": f"one of {', '.join(FIGURES)}"})
