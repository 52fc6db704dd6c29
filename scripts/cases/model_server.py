"""A stand-in for TensorFlow Serving, where `tensorflow_model_server` is not installed: model_server.py <folder> <name>.

Serves the newest version of a SavedModel below a folder, by REST and gRPC, as far as `ksac segment` and the check of a
load need: `:predict` of signatures with one input of strings, the errors for what is not there, and JSON and messages
in the forms that TensorFlow Serving documents. It has nothing of this project. What it cannot show is TensorFlow
Serving's own speed, and its answers to what is not in here.

Prints the two ports, REST and gRPC, once it serves, and ends with its standard input.
"""

import base64
import concurrent.futures
import http.server
import json
import re
import sys
import threading
import urllib.parse
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework.tensor_pb2 import TensorProto

LOOPBACK = "127.0.0.1"
PATH = re.compile(r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?:predict")
PREDICT = "/tensorflow.serving.PredictionService/Predict"
MESSAGES = {  # of TensorFlow Serving's protos: name -> {field: (number, type, repeated)}
    "Int64Value": {"value": (1, "int64", False)},
    "ModelSpec": {
        "name": (1, "string", False),
        "version": (2, "Int64Value", False),
        "signature_name": (3, "string", False),
        "version_label": (4, "string", False),
    },
    "Tensor": {"key": (1, "string", False), "value": (2, "bytes", False)},  # an entry of a map; a TensorProto inside
    "PredictRequest": {"model_spec": (1, "ModelSpec", False), "inputs": (2, "Tensor", True)},
    "PredictResponse": {"outputs": (1, "Tensor", True), "model_spec": (2, "ModelSpec", False)},
    "PredictLog": {"request": (1, "PredictRequest", False)},
    "PredictionLog": {"predict_log": (6, "PredictLog", False)},
}


class RequestError(Exception):
    """What a client is told: a status of HTTP, a code of gRPC, and words."""

    def __init__(self, status, code, said):
        super().__init__(said)
        self.status, self.code = status, code


class ServedModel:
    """The newest version of a model.

    Args:
        folder: has a folder for each version.
        name: that it is served under.
    """

    def __init__(self, folder, name):
        self.name = name
        self.version = max(int(path.name) for path in Path(folder).iterdir() if path.name.isdigit())
        with tf.Graph().as_default():  # a session, as TensorFlow Serving has one for each model
            self.session = tf.compat.v1.Session()
            loaded = tf.compat.v1.saved_model.load(self.session, ["serve"], str(Path(folder) / str(self.version)))
        self.signatures = dict(loaded.signature_def)

    def predict(self, name, version, label, signature, inputs):
        """The outputs of a signature, as arrays."""
        if name != self.name or version not in (None, self.version) or label:
            which = f"Specific({name}, {version})" if version is not None else f"Latest({name})"
            which = f"Label({name}, {label})" if label else which
            raise RequestError(404, grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {which}")
        if signature not in self.signatures:
            said = f'Serving signature key "{signature}" not found.'
            raise RequestError(400, grpc.StatusCode.INVALID_ARGUMENT, said)
        asked = self.signatures[signature]
        if set(inputs) != set(asked.inputs):
            said = f"input size does not match signature: {len(inputs)}!={len(asked.inputs)}"
            raise RequestError(400, grpc.StatusCode.INVALID_ARGUMENT, said)
        fed = {asked.inputs[key].name: np.asarray(values, object) for key, values in inputs.items()}
        try:
            return self.session.run({key: output.name for key, output in asked.outputs.items()}, fed)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise RequestError(400, grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error

    def only_input(self, signature):
        """The name of a signature's one input; "" where there is no such signature."""
        return next(iter(self.signatures[signature].inputs)) if signature in self.signatures else ""


def by_rest(model, path, body):
    """The answer to a POST, as JSON takes it."""
    found = PATH.fullmatch(urllib.parse.unquote(path))
    if not found:
        raise RequestError(404, None, "Malformed request: POST " + path)
    try:
        request = json.loads(body)
        signature, instances = request.get("signature_name", "serving_default"), request["instances"]
    except (ValueError, KeyError, AttributeError) as error:
        raise RequestError(400, None, f"JSON Parse error: {error}") from error
    inputs = {}
    for instance in instances:
        named = isinstance(instance, dict) and "b64" not in instance
        for key, value in (instance if named else {model.only_input(signature): instance}).items():
            inputs.setdefault(key, []).append(_string(value))
    version = int(found["version"]) if found["version"] else None
    outputs = model.predict(found["name"], version, found["label"], signature, inputs)
    rows = [{key: _json(key, values[number]) for key, values in outputs.items()} for number in range(len(instances))]
    return {"predictions": [next(iter(row.values())) if len(row) == 1 else row for row in rows]}


def by_grpc(model, classes, request):
    """The answer to a PredictRequest."""
    spec = request.model_spec
    inputs = {entry.key: tf.make_ndarray(TensorProto.FromString(entry.value)) for entry in request.inputs}
    version = spec.version.value if spec.HasField("version") else None
    outputs = model.predict(spec.name, version, spec.version_label, spec.signature_name or "serving_default", inputs)
    response = classes["PredictResponse"]()
    for key, values in outputs.items():
        response.outputs.add(key=key, value=tf.make_tensor_proto(values).SerializeToString())
    return response


def message_classes():
    """The classes of `MESSAGES`."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="serving_stand_in.proto", package="stand_in", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind in MESSAGES:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".stand_in.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"stand_in.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def serve_rest(model):
    """Starts the REST side on a thread; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, answer = 200, by_rest(model, self.path, body)
            except RequestError as error:
                status, answer = error.status, {"error": str(error)}
            content = json.dumps(answer, ensure_ascii=False).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            """Nothing is logged."""

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request, client_address):
            """Nothing is said of a client that has gone."""

    server = Server((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def serve_grpc(model):
    """Starts the gRPC side; (the server, which must be kept, and its port)."""
    classes = message_classes()

    def answer(request, context):
        try:
            return by_grpc(model, classes, request)
        except RequestError as error:
            context.abort(error.code, str(error))

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method != PREDICT:
                return None
            return grpc.unary_unary_rpc_method_handler(
                answer, classes["PredictRequest"].FromString, classes["PredictResponse"].SerializeToString
            )

    lengths = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), handlers=(Handler(),), options=lengths)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    return server, port


def _string(value):
    """A string of a request."""
    try:
        return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(400, None, "JSON Value is no string") from error


def _json(key, value):
    """One of an output's values: names that end in _bytes have bytes, other strings are texts."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")} if key.endswith("_bytes") else value.decode("utf-8")
    return value.tolist()


def main(folder, name):
    """Serves until standard input ends."""
    model = ServedModel(folder, name)
    rest, (kept, port) = serve_rest(model), serve_grpc(model)
    print(rest, port, flush=True)
    sys.stdin.read()
    kept.stop(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
