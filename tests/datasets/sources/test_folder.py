"""A user's own pictures and masks, as Kaggle's sets, CVAT, Supervisely and others lay them out."""

import re

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.reading import Reading
from tests import fakes
from tests.datasets.sources import layouts

COLORS = {"ground": (0, 0, 0), "road sign": (128, 64, 128), "lamp": (250, 170, 30)}


def write(root, masks, *, split="train", image="{}.jpg", mask="{}.png", classes="ground\nroad sign\nlamp\n"):
    """A folder with these masks: {id: uint8 [H, W] or [H, W, 3]}."""
    for i, (name, values) in enumerate(masks.items()):
        layouts.save_image(root / "images" / split / image.format(name), i, values.shape[:2])
        layouts.save_mask(root / "masks" / split / mask.format(name), values)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    return root


def colored(labels):
    return np.array(list(COLORS.values()), np.uint8)[labels]


def labels_of(root, split="train", **reading):
    raw = RawFolder("folder", root, reading=Reading(**reading))
    raw.info()
    return {item["id"]: item["label"] for item in raw.examples()[split]}


def refusal(root, **reading):
    with pytest.raises(DatasetError) as caught:
        labels_of(root, **reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def labels():
    return fakes.labels(3, 3, (9, 13), ignore=False)


def test_values_are_mapped_to_labels(tmp_path, labels):
    write(tmp_path, {"a": np.choose(labels, (np.uint8(7), np.uint8(0), np.uint8(255)))})
    read = labels_of(tmp_path, label_map={7: 0, 0: 2, 255: 255})
    np.testing.assert_array_equal(read["a"], np.choose(labels, (0, 2, 255)))


def test_values_that_the_map_does_not_name_are_refused_by_count(tmp_path):
    values = np.zeros((9, 13), np.uint8)
    values[0, :5], values[1, :2] = 128, 254
    write(tmp_path, {"a": values})
    words = "a.png has values that the pairs of --label_map=0:0,255:1 do not have: 128 (5 pixels), 254 (2 pixels)"
    assert words in refusal(tmp_path, label_map={0: 0, 255: 1})


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"label_map": {255: 3}}, "label_map makes 3 of 255, and {root}/classes.txt has the labels 0…2 (--label_map"),
        ({"label_map": {0: 0}, "colors": "classes"}, "give one of --label_map and --colors"),
        ({"label_map": {}}, "label_map is empty"),
        ({"unlabeled": "void"}, "unlabeled must be background or ignored, not 'void'"),
        ({"unlabeled": "ignored"}, "unlabeled (--unlabeled) is not for the data set folder, which takes label_map,"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(tmp_path, labels, reading, words):
    write(tmp_path, {"a": labels})
    assert words.format(root=tmp_path) in refusal(tmp_path, **reading)


LEGENDS = {
    "ours": "ground 0 0 0\nroad sign 128 64 128\nlamp 250 170 30\n",
    "camvid": "0 0 0\t\tground\n128 64 128\troad sign\n250 170 30\tlamp\n",
    "cvat": "# label:color_rgb:parts:actions\nground:0,0,0::\nroad sign:128,64,128::\nlamp:250,170,30:a,b:c\n",
    "csv": "name,r,g,b\nground,0,0,0\nroad sign, 128, 64, 128\nlamp,250,170,30\n",
    "csv, colors first": "r,g,b,name\n0,0,0,ground\n128,64,128,road sign\n250,170,30,lamp\n",
}


@pytest.mark.parametrize("form", LEGENDS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colors_are_read_by_the_legend_of_each_tool(tmp_path, labels, form, mode):
    write(tmp_path, {"a": colored(labels)}, classes=None)
    path = tmp_path / "masks" / "train" / "a.png"
    image = Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else Image.open(path)
    image.convert(mode).save(path)
    legend = tmp_path / "legend"
    legend.write_text(LEGENDS[form])
    raw = RawFolder("folder", tmp_path, reading=Reading(colors=legend))
    assert dict(zip(raw.info().class_names, raw.info().colors)) == COLORS
    np.testing.assert_array_equal(raw.examples()["train"][0]["label"], labels)


def test_the_class_list_gives_the_order_and_the_legend_the_colors(tmp_path, labels):
    write(tmp_path, {"a": colored(labels)}, classes="lamp\nroad sign\n")
    legend = tmp_path / "legend.txt"
    legend.write_text("ignored 0 0 0\nroad sign 128 64 128\nlamp 250 170 30\nlamp 1 1 1\n")
    np.testing.assert_array_equal(labels_of(tmp_path, colors=legend)["a"], np.choose(labels, (255, 1, 0)))
    legend.write_text("nothing 0 0 0\nroad sign 128 64 128\nlamp 250 170 30\n")
    count = np.count_nonzero(labels == 0)
    words = f"(0, 0, 0) ({count} pixels; it is that of 'nothing', which is not in the class list)"
    assert words in refusal(tmp_path, colors=legend)
    legend.write_text("road sign 128 64 128\n")
    assert f"legend.txt has no color for 1 of the 2 classes of {tmp_path}/classes.txt: lamp" in refusal(
        tmp_path, colors=legend
    )


def test_the_class_list_may_have_the_colors(tmp_path, labels):
    classes = "ground 0 0 0\nroad sign 128 64 128\nignored 250 170 30\n"
    write(tmp_path, {"a": colored(labels)}, classes=classes)
    np.testing.assert_array_equal(labels_of(tmp_path, colors="classes")["a"], np.choose(labels, (0, 1, 255)))
    (tmp_path / "classes.txt").write_text("ground\nroad sign 1 2 3\n")
    assert "classes.txt: line 1, 'ground', is no class with a color" in refusal(tmp_path, colors="classes")


def test_unknown_colors_are_refused_with_their_counts_and_the_nearest_ones(tmp_path, labels):
    mask = colored(labels)
    mask[0, :6], mask[1, :2] = (127, 64, 128), (255, 255, 255)
    write(tmp_path, {"a": mask}, classes="\n".join(f"{n} {r} {g} {b}" for n, (r, g, b) in COLORS.items()))
    said = refusal(tmp_path, colors="classes")
    assert "a.png: 8 of 117 pixels have a color of no class: (127, 64, 128) (6 pixels; the nearest is (128, 64" in said
    assert "128), road sign), (255, 255, 255) (2 pixels; the nearest is (250, 170, 30), lamp); --colors=FILE" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 1 2 300\n", "legend.txt: the color in line 1, 'a 1 2 300', has a value above 255"),
        ("a 1 2 3\nb\n", "legend.txt: line 2, 'b', is no class with a color"),
        ("# nothing\n", "legend.txt lists no class"),
        ("a 1 2 3\nb 1 2 3\n", "legend.txt: the color (1, 2, 3) is that of 'a' and of 'b'"),
        (None, "legend.txt is missing"),
    ],
)
def test_a_wrong_legend_is_refused(tmp_path, labels, text, words):
    write(tmp_path, {"a": colored(labels)}, classes=None)
    legend = tmp_path / "legend.txt"
    if text is not None:
        legend.write_text(text)
    assert words in refusal(tmp_path, colors=legend)


@pytest.mark.parametrize("kind", ["JPEG", "transparent", "16 bits"])
def test_masks_that_cannot_keep_colors_are_refused(tmp_path, labels, kind):
    write(tmp_path, {"a": colored(labels)}, classes="a 0 0 0\n")
    path = tmp_path / "masks" / "train" / "a.png"
    image = Image.open(path).convert("RGB")
    if kind == "JPEG":
        image.save(path, "jpeg")
    elif kind == "transparent":
        image.putalpha(Image.fromarray(np.where(labels == 1, 0, 255).astype(np.uint8)))
        image.save(path)
    else:
        Image.fromarray(labels.astype(np.uint16)).save(path)
    transparent = f"has {np.count_nonzero(labels == 1)} of 117 pixels that are not opaque; their color is not known"
    words = {"JPEG": "a.png holds JPEG", "transparent": transparent, "16 bits": "has 16 bits a channel"}
    assert words[kind] in (said := refusal(tmp_path, colors="classes"))
    assert kind != "transparent" or "save it without transparency" in said


def test_rgb_masks_without_colors_and_values_without_a_map_point_to_the_flags(tmp_path, labels):
    write(tmp_path, {"a": colored(labels)})
    assert "a.png holds colors (mode RGB)" in (said := refusal(tmp_path)) and "--colors" in said


@pytest.mark.parametrize(
    ("image", "mask", "names"),
    [
        ("{}.jpg", "{}_mask.png", {"mask_suffix": "_mask"}),
        ("{}_leftImg8bit.PNG", "{}_labelIds.PNG", {"image_suffix": "_leftImg8bit", "mask_suffix": "_labelIds"}),
        ("im_{}.TIF", "gt_{}.png", {"image_prefix": "im_", "mask_prefix": "gt_"}),
        ("deep/er/{}.webp", "deep/er/{}.label.png", {"mask_suffix": ".label"}),
        ("{}.bmp", "m-{}-v2.png", {"mask_prefix": "m-", "mask_suffix": "-v2"}),
    ],
)
def test_stems_may_differ_by_a_prefix_or_suffix(tmp_path, labels, image, mask, names):
    write(tmp_path, {"a": labels, "b_mask": labels[::-1]}, image=image, mask=mask)
    read = labels_of(tmp_path, **names)
    below = "deep/er/" if "deep" in image else ""
    assert list(read) == [f"{below}a", f"{below}b_mask"]
    np.testing.assert_array_equal(read[f"{below}b_mask"], labels[::-1])
    said = refusal(tmp_path)
    assert "2 of 2 masks of" in said and "2 masks there belong to no image" in said and "--mask_suffix" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.with_suffix(".tif"), "2 pictures there are no PNGs (the first a.tif): save masks"),
        (lambda path: path.with_name(path.name.upper()), "(the first A.PNG): masks lie in the same folders"),
        (lambda path: path.parent / "cam" / path.name, "(the first a.png): masks lie in the same folders"),
    ],
)
def test_masks_that_are_not_found_are_named_with_the_cause(tmp_path, labels, change, words):
    write(tmp_path, {"a": labels, "b": labels})
    for path in sorted((tmp_path / "masks" / "train").iterdir()):
        change(path).parent.mkdir(exist_ok=True)
        path.rename(change(path))
    said = refusal(tmp_path)
    assert "2 of 2 masks of" in said and words in said and "--mask_suffix" not in said


def test_a_folder_without_pictures_is_refused_with_the_formats_that_are_read(tmp_path, labels):
    write(tmp_path, {"a": labels}, split="")
    (tmp_path / "images" / "a.jpg").rename(tmp_path / "images" / "a.heic")
    assert "images holds no picture (.bmp, .jpeg, .jpg, .png, " in refusal(tmp_path)


def test_several_files_that_are_left_out_are_told_as_several(tmp_path, labels):
    write(tmp_path, {"a": labels})
    for kind in ("images", "masks"):
        for name in ("Thumbs.db", "notes.txt"):
            (tmp_path / kind / "train" / name).touch()
    (found,) = RawFolder("folder", tmp_path).examples().values()
    assert [words.partition(" (")[0] for words in found.left_out] == [
        "2 files that are no pictures",
        "2 files that are no PNGs",
    ]


def test_files_of_other_names_are_told(tmp_path, labels):
    write(tmp_path, {"a": labels}, mask="{}_mask.png")
    layouts.save_mask(tmp_path / "masks" / "train" / "a_edges.png", labels)
    (found,) = RawFolder("folder", tmp_path, reading=Reading(mask_suffix="_mask")).examples().values()
    path = tmp_path / "masks" / "train" / "a_edges.png"
    assert found.left_out == (f"1 file whose name is not as --mask_suffix=_mask says (the first {path})",)


def test_two_files_that_become_one_id_are_refused(tmp_path, labels):
    write(tmp_path, {"a": labels}, image="{}.jpg")
    layouts.save_image(tmp_path / "images" / "train" / "a.JPEG", 0, labels.shape)
    with pytest.raises(DatasetError, match=re.escape("two images are called a in")):
        labels_of(tmp_path)


def test_pictures_without_folders_of_splits_are_the_split_train(tmp_path, labels):
    write(tmp_path, {"a": labels, "b": labels}, split="")
    raw = RawFolder("folder", tmp_path)
    assert {split: [item["id"] for item in items] for split, items in raw.examples().items()} == {"train": ["a", "b"]}
    assert raw.left_out() == ()
    with pytest.raises(DatasetError, match=r"no split 'val' \(found: train\)"):
        raw.examples(["val"])
