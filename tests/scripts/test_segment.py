"""`ksac segment` and the client under it, against a model server in a process of its own, by REST and gRPC."""

import base64
import concurrent.futures
import contextlib
import enum
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplab_ksac.export import export_saved_model
from deeplab_ksac.figures.colors import encode_png
from deeplab_ksac.prediction.files import Style
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.images import read_image
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.scripts import segment
from deeplab_ksac.scripts.cases.running_server import running
from deeplab_ksac.scripts.commandline.ending import exit_status
from deeplab_ksac.serving.client import Client
from deeplab_ksac.serving.failures import PictureError, ServerError
from deeplab_ksac.serving.folder import segment_files
from deeplab_ksac.storage import place
from deeplab_ksac.storage.copies import upload
from tests import fakes
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info
from tests.places import ROOT
from tests.scripts.damage import FEW, damaged
from tests.scripts.parsing import command_line, flags_of
from tests.stores import ram

SCHEMES = ("rest", "grpc")
KINDS = ("index", "color", "overlay")
TURNED = {0x0112: 6}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><a tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    export_saved_model(model, folder / "7", info=fake_info(), check=False)
    with running(folder, "fake model") as server:
        yield server


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of several forms and sizes, some of them broken: (folder, names of the broken ones)."""
    folder = tmp_path_factory.mktemp("photos")
    tags = Image.Exif()
    tags.update(TURNED)
    pictures = [Image.fromarray(fakes.picture(seed, (20 + seed, 33))) for seed in range(8)]
    pictures[0].save(folder / "a.jpg", quality=90)
    pictures[1].save(folder / "turned.jpg", exif=tags)
    pictures[2].save(folder / "turned by xmp.jpg", xmp=XMP)
    pictures[3].convert("L").save(folder / "gray.png")
    pictures[4].save(folder / "turned.png", exif=tags)
    pictures[5].save(folder / "another form.bmp")
    pictures[6].save(folder / "several.gif", save_all=True, append_images=[pictures[7]])
    content = (folder / "a.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_bytes(b"hello")
    return folder, {"half.jpg", "text.png"}


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def work(*places, **flags):
    """The command on some places."""
    given = flags_of(segment, **flags)
    return lambda: segment.run(*map(str, places), given)


def one_line(told, *parts):
    """Whether stderr is one line of the command's that has these parts."""
    assert told.startswith("segment: ") and told.count("\n") == 1, told
    for part in parts:
        assert part in told, told


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_written_is_what_predict_writes_and_broken_files_are_named(
    scheme, server, model, photos, tmp_path, capsys
):
    folder, broken = photos
    paths = sorted(folder.iterdir())
    style = Style(fake_info())
    summary = predict_files(Predictor(model), paths, tmp_path / "predicted", kinds=KINDS, style=style)
    flags = {"url": getattr(server, scheme), "output_dir": str(tmp_path / "segmented"), "kinds": [*KINDS]}
    assert work(folder, folder / "a.jpg", **flags, legend=False)() == 1
    assert files_in(tmp_path / "segmented") == files_in(tmp_path / "predicted")
    out, told = capsys.readouterr()
    assert out == f"segmented 8 pictures of 9 files into {tmp_path / 'segmented'}\n" and summary.count == 8
    named = {line.split(": ")[1].rpartition("/")[2] for line in told.splitlines() if line.startswith("not predicted")}
    assert named == broken and "/v1/models/fake%20model, 5 classes, 9 files\n" in told


def test_pictures_are_segmented_as_they_are_stored(server, model, photos, tmp_path):
    path = photos[0] / "turned.jpg"
    with Client(server.rest) as client:
        segment_files(client, [path], tmp_path, kinds=["index"], upright=False, concurrency=1)
    stored = read_image(path, upright=False)
    with Image.open(tmp_path / "index" / "turned.png") as image:
        np.testing.assert_array_equal(image, Predictor(model).predict(stored[np.newaxis])["classes"][0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_client_tells_what_the_server_says_of_a_picture(scheme, server):
    with Client(getattr(server, scheme)) as client:
        assert client.info.class_names == fake_info().class_names and client.info.colors == fake_info().colors
        with pytest.raises(PictureError, match=r"^the server says: neither a JPEG nor a PNG file$"):
            client.segment(b"hello")
        with pytest.raises(ServerError, match=r"has no signature 'pgn'; export it again") as raised:
            client._calls.predict("pgn", "image_bytes", b"", ("png_bytes", "error"))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("other", "parts"),
    [
        (lambda url: url.replace("fake model", "another"), ["the server has no model or version ", "models/another"]),
        (lambda url: f"{url}/versions/8", ["the server has no model or version ", "/versions/8"]),
        (lambda url: f"{url}/labels/stable", ["the server has no model or version ", "/labels/stable"]),
        (lambda url: "http://127.0.0.1:1/v1/models/a", ["no server answers at 127.0.0.1:1 (Connection refused)"]),
        (lambda url: "grpc://127.0.0.1:1/v1/models/a", ["no server answers at 127.0.0.1:1 (", "gRPC port (8500)?"]),
        (lambda url: "http://host.invalid/v1/models/a", ["no server answers at host.invalid:8501 ("]),
        (lambda url: "http://host..invalid/v1/models/a", ["no server answers at host..invalid:8501 ("]),
        (lambda url: "localhost", ["--url 'localhost' is no address of a served model; expected http://host:8501/"]),
    ],
)
def test_what_is_not_there_is_one_line_and_nothing_is_written(scheme, other, parts, server, photos, tmp_path, capsys):
    url = other(getattr(server, scheme))
    run = work(photos[0], url=url, output_dir=str(tmp_path / "out"))
    assert exit_status(run, name="segment") == 1
    one_line(capsys.readouterr().err, *parts)
    assert not (tmp_path / "out").exists()


def test_the_newest_version_can_be_named(server):
    for url in (server.rest, server.grpc):
        with Client(f"{url}/versions/7") as client:
            assert client.info.num_classes == 5


@pytest.mark.parametrize(("scheme", "other"), [("http", "grpc"), ("grpc", "rest")])
def test_the_other_port_is_no_server(scheme, other, server):
    url = getattr(server, other).replace("grpc://", "http://") if scheme == "http" else server.rest
    with Client(url.replace("http://", f"{scheme}://"), timeout=20) as client:
        with pytest.raises(ServerError, match=r"no server answers at 127\.0\.0\.1:") as raised:
            _ = client.info
        assert "\n" not in str(raised.value)


@contextlib.contextmanager
def listening(answer):
    """A server on a thread: `answer(number of the request, path, body)` -> (status, content), or None to hang up."""
    count = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            count.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answered = answer(len(count), self.path, body)
            if answered is not None:
                self.send_response(answered[0])
                self.send_header("Content-Length", str(len(answered[1])))
                self.end_headers()
                self.wfile.write(answered[1])
            self.close_connection = True  # without a word, as after a time of silence

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/a"
    finally:
        server.shutdown()
        server.server_close()


def prediction(value):
    return 200, json.dumps({"predictions": [value]}).encode()


CLASS_LIST = prediction(json.dumps({"name": "a", "class_names": ["b", "c"], "colors": [[0, 0, 0], [1, 2, 3]]}))
REFUSED = prediction({"png_bytes": {"b64": ""}, "error": "no"})


def test_a_connection_that_the_server_ended_is_made_anew():
    with listening(lambda number, path, body: CLASS_LIST if number == 1 else REFUSED) as url, Client(url) as client:
        assert client.info.class_names == ("b", "c")
        for _ in range(3):
            with pytest.raises(PictureError, match="the server says: no"):
                client.segment(b"")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((501, b"<html>"), r"answers with the status 501 and not as TensorFlow Serving does; is it its REST port"),
        ((200, b"<html>"), r"answers as no 'class_list' of ksac export does"),
        ((200, b'{"predictions": []}'), r"answers as no 'class_list' of ksac export does"),
        ((200, b"[" * 100_000), r"answers as no 'class_list' of ksac export does"),
        (prediction("[" * 100_000), r"tells no list of classes \(maximum recursion depth"),
        ((503, b'{"error": "queue full"}'), r"is too busy \(queue full\); try fewer requests at a time"),
        ((500, b'{"error": "out of memory"}'), r"the server says: out of memory"),
        (prediction("[1]"), r"tells no list of classes"),
        (
            prediction('{"name": "a", "class_names": ["b"], "colors": [[0, 0, 256]]}'),
            r"tells no list of classes \(colors",
        ),
        (None, r"no server answers at 127.0.0.1:"),
    ],
)
def test_what_is_no_served_model_is_a_line_of_its_own(answer, message):
    with listening(lambda *request: answer) as url, Client(url) as client:
        with pytest.raises(ServerError, match=message) as raised:
            _ = client.info
        assert "\n" not in str(raised.value)


def test_a_server_that_goes_away_ends_the_run_and_the_files_that_failed_before_are_told(photos, tmp_path, capsys):
    def answer(number, path, body):
        return CLASS_LIST if number == 1 else REFUSED if number == 2 else None

    with listening(answer) as url:
        places = [photos[0] / name for name in ("a.jpg", "gray.png")]
        run = work(*places, url=url, output_dir=str(tmp_path), concurrency=1)
        assert exit_status(run, name="segment") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "no server answers at 127.0.0.1:" in last
    assert "before that, not predicted: " in last and "a.jpg: the server says: no" in last


@contextlib.contextmanager
def refusing(scheme, status, said):
    """The URL of a server that answers every request with an error: the HTTP status, or gRPC's of that name."""
    if scheme == "rest":
        with listening(lambda *request: (status.value, json.dumps({"error": said}).encode())) as url:
            yield url
        return
    grpc = pytest.importorskip("grpc")

    class Refusing(grpc.GenericRpcHandler):
        def service(self, details):
            code = getattr(grpc.StatusCode, status.name)
            return grpc.unary_unary_rpc_method_handler(lambda request, context: context.abort(code, said))

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), handlers=[Refusing()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}/v1/models/a"
    finally:
        server.stop(0).wait()


class Status(enum.Enum):
    """The statuses of TensorFlow Serving: the name is gRPC's, the value the one of REST."""

    UNAVAILABLE = 503
    RESOURCE_EXHAUSTED = 429
    INVALID_ARGUMENT = 400


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_is_busy_is_told_from_one_that_is_not_there(scheme):
    said = "The batch scheduling queue to which this task was submitted is full"
    busy = pytest.raises(ServerError, match=rf"is too busy \({said}\); try fewer requests at a time")
    with refusing(scheme, Status.UNAVAILABLE, said) as url, Client(url) as client, busy:
        client.segment(b"")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_picture_that_the_servers_memory_does_not_hold_is_that_picture_alone(scheme):
    said = "OOM when allocating tensor with shape[1,6000,8000,64]"
    of_the_picture = pytest.raises(PictureError, match="the server says: OOM when allocating")
    with refusing(scheme, Status.RESOURCE_EXHAUSTED, said) as url, Client(url) as client, of_the_picture:
        client.segment(b"")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_of_other_bands_is_not_said_to_need_another_export_only(scheme):
    said = 'Serving signature key "class_list" not found.'
    told = pytest.raises(ServerError, match=r"has no signature 'class_list'.*of other bands than RGB takes no files")
    with refusing(scheme, Status.INVALID_ARGUMENT, said) as url, Client(url) as client, told:
        _ = client.info


SEGMENTED = prediction({
    "png_bytes": {"b64": base64.b64encode(encode_png(np.eye(20, 33, dtype=np.uint8))).decode()},
    "error": "",
})  # fmt: skip


@settings(FEW, max_examples=40)
@given(st.data())
def test_whatever_a_server_answers_is_one_line_or_a_picture(photos, tmp_path, data):
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    status = data.draw(st.sampled_from([200, 200, 200, 404, 500]))
    wrong = data.draw(st.sampled_from([1, 2]))
    right = CLASS_LIST if wrong == 1 else SEGMENTED
    content = data.draw(damaged(right[1]))

    def answer(number, path, body):
        return (status, content) if number >= wrong else CLASS_LIST

    said = io.StringIO()
    with listening(answer) as url, contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        run = work(photos[0] / "a.jpg", url=url, output_dir=str(tmp_path / "out"), kinds=["index"], timeout=5.0)
        ended = exit_status(run, name="segment")
    lines = [line for line in said.getvalue().splitlines() if line.startswith(("segment: ", "not predicted: "))]
    assert "Traceback" not in said.getvalue() and ended in (0, 1) and len(lines) == ended
    assert all(line.isprintable() for line in lines)
    written = list((tmp_path / "out").rglob("*.png"))
    assert len(written) == 1 - ended
    for path in written:
        with Image.open(path) as image:
            image.load()


def test_pictures_and_results_may_be_in_an_object_store(photos, tmp_path, capsys):
    with ram() as address, listening(lambda _, path, body: CLASS_LIST if b"class_list" in body else SEGMENTED) as url:
        store = place(address)
        (store / "photos").mkdir()
        upload(photos[0] / "a.jpg", store / "photos" / "a.jpg")
        flags = {"url": url, "output_dir": f"{store}/out"}
        assert work(f"{store}/photos", store / "photos" / "a.jpg", **flags)() == 0
        assert capsys.readouterr().out == f"segmented 1 pictures of 1 files into {store}/out\n"
        assert work(photos[0] / "a.jpg", url=url, output_dir=str(tmp_path))() == 0
        found = {path.relative_to(store / "out"): path.read_bytes() for path in (store / "out").rglob("*")}
        assert {path.as_posix() for path in found} == {f"{kind}/a.png" for kind in KINDS}
        assert found == files_in(tmp_path)
        capsys.readouterr()
        assert exit_status(work(f"{store}/photos", **flags), name="segment") == 1
        one_line(capsys.readouterr().err, f"{store}/out already holds predictions (index, color, overlay)")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (np.zeros([20, 32], np.uint8), "the server's answer is of 32×20 pixels, the picture of 33×20"),
        (np.full([20, 33], 7, np.uint8), "the server's answer has the class 7, its list only 2 classes"),
        (np.zeros([20, 33, 3], np.uint8), "the server's answer is a PNG of mode RGB, not of class numbers"),
        (None, "the server's answer is no PNG"),
    ],
)
def test_an_answer_that_is_not_of_the_picture_is_named(classes, said, photos, tmp_path, capsys):
    png = b"" if classes is None else encode_png(classes)
    told = prediction({"png_bytes": {"b64": base64.b64encode(png).decode()}, "error": ""})
    with listening(lambda number, path, body: CLASS_LIST if number == 1 else told) as url:
        assert work(photos[0] / "a.jpg", url=url, output_dir=str(tmp_path))() == 1
    assert f"a.jpg: {said}" in capsys.readouterr().err and not files_in(tmp_path)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_answer_in_time_is_told(scheme):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/v1/models/a"
        with (
            Client(url, timeout=0.2) as client,
            pytest.raises(PictureError, match=r"^no answer within 0.2 seconds; --timeout gives more$"),
        ):
            client.segment(b"")


def test_results_are_overwritten_when_allowed_and_no_picture_is(server, photos, tmp_path, capsys):
    pictures = tmp_path / "index"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes((photos[0] / "a.jpg").read_bytes())
    flags = {"url": server.rest, "output_dir": str(tmp_path)}
    for overwrite, message in ((False, "already holds predictions (index)"), (True, "it holds")):
        assert exit_status(work(pictures / "a.jpg", **flags, overwrite=overwrite), name="segment") == 1
        one_line(capsys.readouterr().err, message)
    assert work(photos[0] / "a.jpg", **flags, overwrite=True)() == 0
    assert (tmp_path / "index" / "a.png").is_file()


def test_flags_are_looked_at_first(tmp_path):
    with pytest.raises(SystemExit) as ended, command_line(segment, "--url=x", "--output_dir=x", "--timeout=0"):
        pass
    assert ended.value.code == "segment: --timeout must be a number in (0, 86400], not '0'"
    with pytest.raises(ValueError, match="--kinds must be of index, color, overlay, not 'confidence'"):
        work("x", url="http://h/v1/models/a", output_dir=str(tmp_path), kinds=["confidence"])()


def test_the_command_takes_several_words_and_loads_no_tensorflow(server, photos, tmp_path):
    loaded = "import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); "
    program = f"{loaded}from deeplab_ksac.scripts.ksac import main; sys.exit(main())"
    words = ["segment", f"--url={server.rest}", f"--output_dir={tmp_path}"]

    def call(*places):
        command = [sys.executable, "-c", program, *words, *map(str, places)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    done = call(photos[0] / "a.jpg", photos[0] / "*.bmp")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"segmented 2 pictures of 2 files into {tmp_path}\nFalse\n"
    none = call()
    assert none.returncode == 1
    assert none.stderr == "segment: expected <images…> (files, folders and globs, separated by spaces), not: none\n"
