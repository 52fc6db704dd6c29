"""TensorFlow Serving's messages, as far as they are needed here, to and from the bytes of protocol buffers.

A message is a row of fields: number and wire type, then the value. The numbers are those of TensorFlow Serving's
apis/predict.proto, model.proto and prediction_log.proto, and of TensorFlow's tensor.proto. By hand, since Google's
package for them wants TensorFlow of its own version, and a client needs none.
"""

from collections.abc import Iterator, Mapping, Sequence

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # the wire types
DT_UINT8, DT_STRING = 4, 7


def predict_request(
    inputs: Mapping[str, bytes], *, signature: str, model: str = "", version: int | None = None, label: str = ""
) -> bytes:
    """A PredictRequest.

    Args:
        inputs: name -> a TensorProto.
        signature: of the model that is asked.
        model: its name; in a warm-up request none is needed.
        version, label: which version; without both the server's choice.
    """
    numbered = b"" if version is None else _field(2, _field(1, version))  # an Int64Value
    labeled = _field(4, label) if label else b""
    spec = (_field(1, model) if model else b"") + numbered + _field(3, signature) + labeled
    entries = (_field(1, name) + _field(2, tensor) for name, tensor in inputs.items())
    return _field(1, spec) + b"".join(_field(2, entry) for entry in entries)


def prediction_log(request: bytes) -> bytes:
    """A PredictionLog of one PredictRequest: what TensorFlow Serving warms a model up with."""
    return _field(6, _field(1, request))


def string_tensor(values: Sequence[bytes]) -> bytes:
    """A TensorProto of strings [N]."""
    return _field(1, DT_STRING) + _field(2, _shape([len(values)])) + b"".join(_field(8, value) for value in values)


def black_image_tensor(*shape: int) -> bytes:
    """A TensorProto of uint8 zeros: one is written, and stands for all."""
    return _field(1, DT_UINT8) + _field(2, _shape(shape)) + _field(7, 0)


def predicted_strings(response: bytes) -> dict[str, list[bytes]]:
    """The outputs of a PredictResponse that are strings: name -> values.

    Raises:
        ValueError: it is no such message.
    """
    outputs = {}
    for number, entry in _fields(response):
        if number == 1:
            named = dict(_fields(entry))
            tensor = list(_fields(named[2])) if 2 in named else []
            if (1, DT_STRING) in tensor:
                outputs[_as_text(named.get(1, b""))] = [value for number, value in tensor if number == 8]
    return outputs


def _shape(sizes):
    return b"".join(_field(2, _field(1, size)) for size in sizes)


def _field(number, value):
    """A field with a whole number, a text, or bytes: a string or a message."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    value = value.encode("utf-8") if isinstance(value, str) else value
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _varint(value):
    """A whole number from 0 on, seven bits a byte, the lowest first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _as_text(value):
    return _as_bytes(value).decode("utf-8")


def _as_bytes(value):
    if not isinstance(value, bytes):
        raise ValueError("not a message of protocol buffers: a number where a message or a text is expected")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a message's fields in their order."""
    message, place = _as_bytes(message), 0
    while place < len(message):
        key, place = _read_varint(message, place)
        if key & 7 == VARINT:
            value, place = _read_varint(message, place)
        else:
            length, place = _read_varint(message, place) if key & 7 == BYTES else (_fixed(key & 7), place)
            value, place = message[place : place + length], place + length
            if place > len(message):
                raise ValueError("not a message of protocol buffers: it ends within a field")
        yield key >> 3, value


def _fixed(kind):
    if kind not in (FIXED32, FIXED64):
        raise ValueError(f"not a message of protocol buffers: the wire type {kind}")
    return 8 if kind == FIXED64 else 4


def _read_varint(message, place):
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("not a message of protocol buffers: it ends within a number")
        digit = message[place]
        value, shift, place = value | (digit & 0x7F) << shift, shift + 7, place + 1
        if digit < 0x80:
            return value, place
