"""Calls of a served model by gRPC: TensorFlow Serving's PredictionService."""

from collections.abc import Sequence
from types import ModuleType

from deeplab_ksac.serving import failures, protocol
from deeplab_ksac.serving.address import Address

METHOD = "/tensorflow.serving.PredictionService/Predict"
OPTIONS = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]  # else 4 MB
LONGEST_REASON = 300
QUEUE_IS_FULL = "batch scheduling queue"  # by which a busy server is told from none: both are UNAVAILABLE


class GrpcCalls:
    """Calls by gRPC, as `rest.RestCalls`; several threads may call.

    Args:
        address: of the model.
        timeout: seconds for one answer.

    Raises:
        OSError: the package grpcio is not installed.
    """

    def __init__(self, address: Address, timeout: float):
        self.address, self.timeout, self._grpc = address, timeout, imported()
        self._channel = self._grpc.insecure_channel(address.place, options=OPTIONS)
        self._call = self._channel.unary_unary(METHOD)  # bytes to bytes

    def predict(self, signature: str, name: str, value: bytes, outputs: Sequence[str]) -> dict[str, bytes]:
        """As `rest.RestCalls.predict`."""
        request = protocol.predict_request(
            {name: protocol.string_tensor([value])},
            signature=signature,
            model=self.address.model,
            version=self.address.version,
            label=self.address.label,
        )
        try:
            response = self._call(request, timeout=self.timeout)
        except self._grpc.RpcError as error:
            raise self._failure(error, signature) from error
        try:
            found = protocol.predicted_strings(response)
            return {output: one for output in outputs for [one] in [found[output]]}
        except (KeyError, ValueError) as error:
            raise failures.ServerError(f"{self.address} answers as no {signature!r} of ksac export does") from error

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _failure(self, error, signature):
        """The error for a call that failed."""
        codes = self._grpc.StatusCode
        code, said = error.code(), (error.details() or "").partition("\n")[0][:LONGEST_REASON]
        if code == codes.DEADLINE_EXCEEDED:
            return failures.too_slow(self.timeout)
        if code == codes.UNAVAILABLE and QUEUE_IS_FULL in said:
            return failures.too_busy(self.address.place, said)
        if code in (codes.UNAVAILABLE, codes.UNIMPLEMENTED):
            return failures.no_server(self.address.place, said, "gRPC port (8500)")
        if code == codes.NOT_FOUND:
            return failures.no_model(str(self.address), said)
        if code in (codes.INVALID_ARGUMENT, codes.FAILED_PRECONDITION) and "signature" in said.lower():
            return failures.no_signature(str(self.address), signature)
        return failures.PictureError(f"the server says: {said or code.name}")


def imported() -> ModuleType:
    """The package grpc.

    Raises:
        OSError: it is not installed.
    """
    try:
        import grpc
    except ImportError as error:
        raise OSError("grpc:// needs grpcio, which is not installed: pip install grpcio, or use http://") from error
    return grpc
