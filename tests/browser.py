"""Chromium without a window, steered by the DevTools protocol over two pipes; and a server of a folder's files.

CHROMIUM names the program where it is none of `PROGRAMS` on the path.
"""

import contextlib
import fcntl
import functools
import http.server
import json
import os
import select
import shutil
import subprocess
import threading
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
PIPES = 'exec "$@" 3<&"$DEVTOOLS_IN" 4>&"$DEVTOOLS_OUT"'
TIMEOUT = 120


def found():
    """The program's path, or None."""
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else PROGRAMS
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """A page of a browser: `call` is a command of the protocol, `evaluate` a JavaScript expression in the page."""

    def __init__(self, sending, receiving):
        self._sending, self._receiving, self._rest, self._number, self.events = sending, receiving, b"", 0, []
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **arguments):
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        answer = self._next(lambda message: message.get("id") == self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, event):
        """The next event of this name, or one that has come."""
        for number, message in enumerate(self.events):
            if message["method"] == event:
                return self.events.pop(number)["params"]
        return self._next(lambda message: message.get("method") == event)["params"]

    def evaluate(self, expression):
        """The value of an expression, or what its promise gives."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression):
        """Waits until an expression is true."""
        end = time.monotonic() + TIMEOUT
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"{expression} is not true: {self.evaluate('document.body.innerText')}"
            time.sleep(0.02)

    def open(self, address):
        """Goes to an address, and waits until its page is there."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.wait("Page.loadEventFired")

    def choose(self, selector, path):
        """Gives a file to an <input>, as a person does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def drop(self, path):
        """Drags a file over the page and drops it."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=100, y=100, data=data)

    def _next(self, wanted):
        end = time.monotonic() + TIMEOUT
        while True:
            message, found, rest = self._rest.partition(b"\0")
            if found:
                self._rest = rest
                message = json.loads(message)
                if wanted(message):
                    return message
                if "method" in message:
                    self.events.append(message)
                continue
            ready, _, _ = select.select([self._receiving], [], [], max(end - time.monotonic(), 0))
            data = os.read(self._receiving, 2**20) if ready else b""
            assert data, "the browser does not answer"
            self._rest += data


@contextlib.contextmanager
def opened(profile, *options):
    """Yields a `Browser`; `profile` is an empty folder."""
    ours, theirs = os.pipe(), os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (ours[0], theirs[1])]  # 3 and 4 are free in the child
    command = ["bash", "-c", PIPES, "bash", found(), *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [*command, *options],
        pass_fds=high,
        env={**os.environ, "DEVTOOLS_IN": str(high[0]), "DEVTOOLS_OUT": str(high[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for fd in (*high, ours[0], theirs[1]):
        os.close(fd)
    try:
        yield Browser(ours[1], theirs[0])
    finally:
        with contextlib.suppress(OSError):
            os.write(ours[1], b'{"id": 0, "method": "Browser.close"}\0')
        os.close(ours[1])
        os.close(theirs[0])
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def served(folder):
    """Yields (address, the paths that were asked for) of a server as `python -m http.server` is one."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form, *values):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
