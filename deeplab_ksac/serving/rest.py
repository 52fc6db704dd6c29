"""Calls of a served model by HTTP: TensorFlow Serving's REST."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Sequence
from typing import Any

from deeplab_ksac.serving import failures
from deeplab_ksac.serving.address import Address

PORT = "REST port (8501)"
LONGEST_REASON = 300


class RestCalls:
    """Calls by REST; several threads may call, each has a connection, which it keeps.

    Args:
        address: of the model.
        timeout: seconds for one answer.
    """

    def __init__(self, address: Address, timeout: float):
        self.address, self.timeout = address, timeout
        self._own, self._all = threading.local(), []

    def predict(self, signature: str, name: str, value: bytes, outputs: Sequence[str]) -> dict[str, bytes]:
        """The outputs of a signature for one string.

        Args:
            signature: of the model.
            name: of its input.
            value: of the input, the one of its batch.
            outputs: all that the signature has; whose names end in `_bytes` may be anything, others are texts.

        Raises:
            ServerError: the server or the model cannot be used.
            PictureError: it has no result for this string.
        """
        content = {name: {"b64": base64.b64encode(value).decode("ascii")}}
        body = json.dumps({"signature_name": signature, "instances": [content]})
        status, answer = self._post(body.encode("ascii"))
        try:
            told = json.loads(answer)
        except (ValueError, RecursionError):
            told = None
        if status != 200:
            raise self._failure(status, told, signature)
        try:
            (prediction,) = told["predictions"]
            found = prediction if len(outputs) > 1 else {outputs[0]: prediction}
            return {output: _as_bytes(found[output]) for output in outputs}
        except (TypeError, KeyError, ValueError) as error:
            raise failures.ServerError(f"{self.address} answers as no {signature!r} of ksac export does") from error

    def close(self) -> None:
        """Ends all connections."""
        for connection in self._all:
            connection.close()

    def _post(self, body):
        """(status, content) of the answer; asked for twice over a connection that the server may have ended since."""
        for is_last in (getattr(self._own, "connection", None) is None, True):
            try:
                return self._exchange(body)
            except TimeoutError:
                raise failures.too_slow(self.timeout) from None
            except failures.ServerError:
                raise
            except (http.client.HTTPException, OSError) as error:
                if is_last:
                    raise failures.no_server(self.address.place, str(error) or type(error).__name__, PORT) from error

    def _exchange(self, body):
        connection = self._connection()
        try:
            connection.request("POST", f"{self.address.path}:predict", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._drop()
            raise

    def _connection(self):
        """This thread's connection, made where there is none."""
        if getattr(self._own, "connection", None) is None:
            kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
            connection = kind(self.address.host, self.address.port, timeout=self.timeout)
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:  # refused, no such name, no certificate; what can be no name
                raise failures.no_server(self.address.place, getattr(error, "strerror", None) or error, PORT) from error
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._own.connection = connection
            self._all.append(connection)
        return self._own.connection

    def _drop(self):
        """Ends this thread's connection, of which nothing is known any more."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None

    def _failure(self, status, told, signature):
        """The error for an answer with another status than 200."""
        said = told.get("error") if isinstance(told, dict) else None
        if not isinstance(said, str):
            who = f"{self.address.place} answers with the status {status}"
            return failures.ServerError(f"{who} and not as TensorFlow Serving does; is it its {PORT}?")
        said = said.partition("\n")[0][:LONGEST_REASON]
        if status == 404:
            return failures.no_model(str(self.address), said)
        if status == 400 and "signature" in said.lower():
            return failures.no_signature(str(self.address), signature)
        if status == 503:
            return failures.too_busy(self.address.place, said)
        return failures.PictureError(f"the server says: {said}")


def _as_bytes(value: Any) -> bytes:
    """A string of an answer: a text, or {"b64": …}."""
    if isinstance(value, str):
        return value.encode("utf-8")
    return base64.b64decode(value["b64"], validate=True)
