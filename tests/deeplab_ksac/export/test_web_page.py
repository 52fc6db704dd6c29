"""The page for browsers: its folder everywhere, the page itself in Chromium.

The browser's tests need Chromium (`tests.browser`) and the npm package onnxruntime-web: its `dist` at
`node_modules/onnxruntime-web/dist` of the repository, or where ONNXRUNTIME_WEB says.
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.experiment import Views
from deeplab_ksac.export import check_output, export_web, fresh
from deeplab_ksac.export.web_page import PAGE, RUNTIME, RUNTIME_FILES, max_pixels
from deeplab_ksac.figures.colors import overlay
from deeplab_ksac.prediction import scores
from deeplab_ksac.prediction.images import read_image
from tests import browser
from tests.deeplab_ksac.export.heads import build_head_model
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images
from tests.fakes import picture
from tests.places import ROOT

INSTALLED = pathlib.Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / RUNTIME))
in_a_browser = pytest.mark.skipif(
    browser.found() is None or not (INSTALLED / RUNTIME_FILES[0]).is_file(),
    reason="needs Chromium and onnxruntime-web",
)
ORIENTATION = 0x0112


@pytest.fixture
def runtime(tmp_path):
    """A folder with files of the runtime's names."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in RUNTIME_FILES:
        (folder / name).write_text(f"// ONNX Runtime Web v9.8.7\n{name}")
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_the_page_the_runtime_and_a_model_that_gives_the_classes_alone(runtime, tmp_path):
    model = build_fake_model()
    path = export_web(model, tmp_path / "new" / "page", info=fake_info(), check=False, runtime=runtime)
    assert list(path.parent.iterdir()) == [path]
    found = files(path)
    ours = {name: content for name, content in found.items() if name in files(PAGE)}
    assert ours == files(PAGE) and {"index.html", "page.js", "page.css"} < set(ours)
    assert set(found) - set(ours) == {f"runtime/{name}" for name in RUNTIME_FILES} | {
        *("model.onnx", "classes.json", "settings.json")
    }
    assert json.loads(found["classes.json"])["class_names"] == list(fake_info().class_names)
    assert json.loads(found["settings.json"]) == {"max_pixels": 4 * 2**20, "runtime": "ONNX Runtime Web 9.8.7"}
    images = [random_images(1, *size).astype("uint8") for size in ((17, 23), (8, 9))]
    for image, outputs in zip(images, fresh.run_onnx(str(path / "model.onnx"), images), strict=True):
        assert set(outputs) == {"classes"}
        np.testing.assert_array_equal(outputs["classes"], scores.predict_classes(model, image.astype("float32")))


def test_the_page_names_no_other_host_and_is_forbidden_to_ask_one():
    for path in PAGE.iterdir():
        assert not re.search(r"(https?:|wss?:|[\"'(]//)", path.read_text(encoding="utf-8")), path
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', (PAGE / "index.html").read_text())[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'"
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


def test_the_most_pixels_are_what_a_gigabyte_holds():
    assert max_pixels(2) == max_pixels(12) == 2**22  # 2³⁰ bytes / 2²² pixels = 256 = 160 + 8 · 12
    assert max_pixels(150) == 2**30 // (160 + 8 * 150)
    assert max_pixels(2, Views((0.5, 2.0))) == max_pixels(2) / 4 and max_pixels(2, Views((0.5,))) == max_pixels(2)


def test_what_is_there_is_replaced_whole_or_not_at_all(runtime, tmp_path):
    path, model = tmp_path / "page", build_fake_model()
    options = {"info": fake_info(), "check": False, "runtime": runtime}
    export_web(model, path, **options)
    before = files(path)
    with pytest.raises(FileExistsError, match="page exists; choose another output"):
        export_web(model, path, **options)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(OSError, match=r"page cannot be written: File too large$") as raised:
            export_web(model, path, **options, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value) and files(path) == before
    (path / "left.txt").touch()
    export_web(build_fake_model(seed=1), path, **options, overwrite=True)
    assert set(files(path)) == set(before) and files(path)["model.onnx"] != before["model.onnx"]
    (path / "model.onnx").unlink()
    with pytest.raises(FileExistsError, match="is not a SavedModel or a page that was exported"):
        export_web(model, path, **options, overwrite=True)
    assert {entry.name for entry in tmp_path.iterdir()} == {"page", "dist"}


def test_without_the_runtime_one_line_says_what_to_type(runtime, tmp_path):
    (runtime / RUNTIME_FILES[2]).unlink()
    said = (
        r"dist has no ort-wasm-simd-threaded\.wasm, a file of ONNX Runtime for browsers: npm install onnxruntime-web@"
        r"[0-9.]+, and --runtime=node_modules/onnxruntime-web/dist$"
    )
    with pytest.raises(FileNotFoundError, match=said):
        export_web(build_fake_model(), tmp_path / "page", info=fake_info(), runtime=runtime)
    with pytest.raises(FileNotFoundError, match=said):
        check_output("web", tmp_path / "page", runtime=runtime)
    with pytest.raises(ValueError, match=r"page\.onnx would be the folder of a page; for a file, --format=onnx"):
        check_output("web", tmp_path / "page.onnx", runtime=runtime)
    assert list(tmp_path.iterdir()) == [runtime]


@pytest.fixture(scope="module")
def model():
    return build_head_model("ksac")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """The folder of a page of the model, with the real runtime."""
    folder = tmp_path_factory.mktemp("web") / "page"
    return export_web(model, folder, info=fake_info(), check=False, runtime=INSTALLED)


@pytest.fixture(scope="module")
def page(exported, tmp_path_factory):
    """The page in a browser, ready, with what the server was asked for and the folder of what is saved."""
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with (
        browser.served(exported) as (address, asked),
        browser.opened(tmp_path_factory.mktemp("profile"), *camera) as opened,
    ):
        saved = tmp_path_factory.mktemp("saved")
        opened.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved), eventsEnabled=True)
        opened.open(address)
        yield types.SimpleNamespace(browser=opened, folder=exported, address=address, asked=asked, saved=saved)


def text(page, part):
    return page.browser.evaluate(f"document.getElementById('{part}').textContent")


def until_said(page, words):
    page.browser.until(f"document.getElementById('status').textContent.startsWith('{words}')")


def look_at(page, path):
    """Chooses a file and waits for what comes of it."""
    until_said(page, "")
    page.browser.until("!document.getElementById('file').disabled")
    page.browser.evaluate("document.getElementById('status').textContent = ''")
    page.browser.choose("#file", path)
    until_said(page, "Done in ")


def save(page, kind, name):
    """What a button saves, as a picture."""
    page.browser.evaluate(f"document.getElementById('save_{kind}').click()")
    while page.browser.wait("Browser.downloadProgress")["state"] != "completed":
        pass
    with Image.open(page.saved / f"{name}_{kind}.png") as saved:
        saved.load()
    return saved


def write_pictures(folder):
    """A photograph that was taken with the camera turned, one of gray, and a drawing with transparent parts."""
    turned, alpha = Image.Exif(), np.tile(np.arange(90, dtype=np.uint8), (61, 1))
    turned[ORIENTATION] = 6
    Image.fromarray(picture(0, (75, 100))).save(folder / "turned.jpg", quality=90, exif=turned)
    Image.fromarray(picture(1, (64, 48))).convert("L").save(folder / "gray.jpeg", quality=80)
    Image.fromarray(np.dstack([picture(2, (61, 90)), 166 + alpha])).save(folder / "clear.v2.png")
    return [folder / name for name in ("turned.jpg", "gray.jpeg", "clear.v2.png")]


@contextlib.contextmanager
def other_page(page, folder, contents):
    """Inside, the browser is at the page with other contents of some files."""
    folder.mkdir()
    for path in page.folder.iterdir():
        if path.name not in contents:
            (folder / path.name).symlink_to(path)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with browser.served(folder) as (address, _):
        page.browser.open(address)
        yield
    page.browser.open(page.address)


@in_a_browser
def test_the_page_shows_and_saves_what_predict_writes(page, model, tmp_path):
    info = fake_info()
    for path in write_pictures(tmp_path):
        pixels = read_image(path)
        expected = scores.predict_classes(model, tf.constant(pixels[np.newaxis], tf.float32)).numpy()[0]
        assert len(np.unique(expected)) > 1
        look_at(page, path)
        index = save(page, "index", path.stem)
        classes = np.asarray(index)
        assert index.mode == "P" and classes.shape == expected.shape
        assert (classes == expected).mean() >= 0.999
        assert index.getpalette()[:15] == [value for color in info.colors for value in color]
        page.browser.evaluate(
            "document.getElementById('opacity').value = 30, "
            "document.getElementById('opacity').dispatchEvent(new Event('input'))"
        )
        laid = np.asarray(save(page, "overlay", path.stem))
        np.testing.assert_array_equal(laid, overlay(pixels, classes, info.colors, 0.3))
        counts = np.bincount(classes.ravel(), minlength=5) / classes.size
        rows = [f"class {k}{100 * counts[k]:.1f} %" for k in np.argsort(-counts, kind="stable") if counts[k] >= 0.0005]
        assert text(page, "legend").startswith("".join(rows))
        for name in list(page.saved.iterdir()):
            name.unlink()
    assert {path.lstrip("/") or "index.html" for path in page.asked} <= set(files(page.folder))


@in_a_browser
def test_what_is_no_picture_is_one_line_and_the_next_one_is_shown(page, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    page.browser.until("!document.getElementById('file').disabled")
    page.browser.drop(tmp_path / "notes.jpg")
    page.browser.until("!document.getElementById('error').hidden")
    assert text(page, "error").startswith("notes.jpg: it is no picture that this browser can read")
    look_at(page, write_pictures(tmp_path)[1])
    assert page.browser.evaluate("document.getElementById('error').hidden")


@in_a_browser
def test_a_picture_that_is_too_large_is_made_smaller_and_that_is_said(page, tmp_path):
    settings = json.dumps({"max_pixels": 3000, "runtime": "no matter"})
    Image.fromarray(picture(0, (75, 100))).save(tmp_path / "large.png")
    with other_page(page, tmp_path / "page", {"settings.json": settings.encode()}):
        look_at(page, tmp_path / "large.png")
        assert "63 × 47 pixels; made smaller from 100 × 75, " in text(page, "caption")  # √(3000 / 7500) of the sides
        assert "for 3,000 pixels are the most that its memory holds" in text(page, "caption")
        assert save(page, "index", "large").size == (63, 47)


@in_a_browser
def test_where_the_memory_is_not_enough_the_picture_is_made_smaller(page, tmp_path):
    """A model that wants four gigabytes for more than 3,000 pixels, which no page can have."""
    onnx = pytest.importorskip("onnx")
    numbers = {"sides": [1, 2], "few": 3000, "many": 2**30, "most": 2**30 - 2**18, "least": 1, "list": [1]}
    nothing = onnx.numpy_helper.from_array(np.zeros([], "float32"), "nothing")
    steps = [
        *(("Shape", ["image"], "shape"), ("Gather", ["shape", "sides"], "size"), ("ReduceProd", ["size"], "pixels")),
        *(("Sub", ["pixels", "few"], "above"), ("Mul", ["above", "many"], "wanted")),
        *(("Min", ["wanted", "most"], "bounded"), ("Max", ["bounded", "least"], "count")),
        *(("Reshape", ["count", "list"], "counts"), ("ConstantOfShape", ["counts"], "zeros")),
        *(("ReduceSum", ["zeros"], "zero"), ("Cast", ["image"], "values"), ("Mul", ["values", "nothing"], "black")),
        *(("ReduceMax", ["black"], "flat"), ("Add", ["flat", "zero"], "sum"), ("Cast", ["sum"], "classes")),
    ]
    made = {
        "values": {"to": onnx.TensorProto.FLOAT},
        "classes": {"to": onnx.TensorProto.UINT8},
        "flat": {"axes": [3], "keepdims": 0},
        "pixels": {"keepdims": 0},
        "zero": {"keepdims": 0},
    }
    nodes = [onnx.helper.make_node(kind, inputs, [output], **made.get(output, {})) for kind, inputs, output in steps]
    value, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.UINT8
    graph = onnx.helper.make_graph(
        *(nodes, "g", [value("image", kind, ["n", "h", "w", 3])], [value("classes", kind, ["n", "h", "w"])]),
        [*(onnx.numpy_helper.from_array(np.array(v, "int64"), name) for name, v in numbers.items()), nothing],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    Image.fromarray(picture(0, (60, 75))).save(tmp_path / "a.png")
    with other_page(page, tmp_path / "page", {"model.onnx": model.SerializeToString()}):
        look_at(page, tmp_path / "a.png")
        assert "53 × 42 pixels; made smaller from 75 × 60, for 2,250 pixels" in text(page, "caption")


@in_a_browser
def test_the_camera_gives_a_picture_and_is_let_go(page):
    page.browser.until("!document.getElementById('camera').disabled")
    page.browser.evaluate("document.getElementById('camera').click()")
    page.browser.until("document.getElementById('finder').open && document.getElementById('video').videoWidth > 0")
    page.browser.evaluate("document.getElementById('take').click()")
    page.browser.until("document.getElementById('caption').textContent.startsWith('photograph, ')")
    until_said(page, "Done in ")
    assert not page.browser.evaluate("document.getElementById('finder').open")
    assert page.browser.evaluate("document.getElementById('video').srcObject === null")


@in_a_browser
def test_neither_the_page_nor_its_worker_reaches_another_server(page, tmp_path):
    with browser.served(tmp_path) as (other, asked):
        ask = f"fetch('{other}').then(() => 'reached', () => 'stopped')"
        in_a_worker = f"""new Promise((done) => {{
            const program = new Blob(["{ask}.then(postMessage)"], {{type: "text/javascript"}});
            new Worker(URL.createObjectURL(program)).onmessage = ({{data}}) => done(data);
        }})"""
        assert [page.browser.evaluate(expression) for expression in (ask, in_a_worker)] == ["stopped"] * 2
    assert not asked
    assert page.browser.evaluate("fetch('classes.json').then((answer) => answer.ok)")


@in_a_browser
def test_everything_has_a_name_and_is_reached_by_the_keyboard(page, tmp_path):
    look_at(page, write_pictures(tmp_path)[1])
    page.browser.call("Accessibility.enable")
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "slider", "image", "table", "status", "columnheader", "rowheader", "main", "region"}
    unnamed = [
        node["role"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in named - {"main", "status"} and not node["name"]["value"]
    ]
    roles = {node["role"]["value"] for node in nodes if "role" in node}
    assert not unnamed and named <= roles
    page.browser.evaluate("document.activeElement.blur()")
    order = []
    for _ in range(5):
        for kind in ("rawKeyDown", "keyUp"):
            page.browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        order.append(page.browser.evaluate("document.activeElement.id"))
    assert order == ["file", "camera", "opacity", "save_index", "save_overlay"]
    page.browser.evaluate("document.getElementById('opacity').focus()")
    before = text(page, "percent")
    for kind in ("rawKeyDown", "keyUp"):
        key = {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
        page.browser.call("Input.dispatchKeyEvent", type=kind, **key)
    assert int(text(page, "percent").split()[0]) == int(before.split()[0]) + 1
