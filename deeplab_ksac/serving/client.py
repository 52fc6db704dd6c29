"""A client of a model that TensorFlow Serving serves: picture files in, classes out.

from deeplab_ksac.serving.client import Client

with Client("http://localhost:8501/v1/models/scenes") as client:
    classes = client.segment(open("photo.jpg", "rb").read())  # uint8 [H, W]
    print(client.info.class_names)
"""

import functools
import io
import json

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.serving.address import Address
from deeplab_ksac.serving.failures import PictureError, ServerError
from deeplab_ksac.serving.grpc_calls import GrpcCalls
from deeplab_ksac.serving.rest import RestCalls

TIMEOUT = 60.0
SIGNATURES = {True: "png", False: "png_as_stored"}  # by whether pictures are turned upright
OUTPUTS = ("png_bytes", "error")


class Client:
    """A served SavedModel of `ksac export`, used by REST or gRPC; several threads may use it.

    Args:
        url: `http://host:8501/v1/models/NAME`, or `grpc://host:8500/v1/models/NAME`; `/versions/7` or `/labels/stable`
            behind it for another version than the server's newest.
        timeout: seconds for one answer.

    Raises:
        ValueError: the URL is no such address.
        OSError: gRPC without the package grpcio.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT):
        self.address = Address.parse(url)
        self._calls = (GrpcCalls if self.address.scheme == "grpc" else RestCalls)(self.address, timeout)

    @functools.cached_property
    def info(self) -> DatasetInfo:
        """Names and colors of the model's classes; asked for once.

        Raises:
            ServerError: the server, the model or its version is not there, or the model has no such signature.
        """
        try:
            told = self._calls.predict("class_list", "request", b"", ("class_list",))["class_list"]
        except PictureError as error:  # there is no picture yet
            raise ServerError(f"{self.address}: {error}") from error
        try:
            return _class_list(json.loads(told))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ServerError(f"{self.address} tells no list of classes ({error})") from error

    def segment(self, encoded: bytes, *, upright: bool = True) -> np.ndarray:
        """The most likely class of every pixel of a picture.

        Args:
            encoded: a JPEG or PNG file.
            upright: whether it is turned as its EXIF orientation says.

        Returns:
            uint8 [H, W].

        Raises:
            ServerError: as `info`.
            PictureError: the picture is broken, too large, or its answer took too long.
        """
        found = self._calls.predict(SIGNATURES[upright], "image_bytes", encoded, OUTPUTS)
        if found["error"]:
            raise PictureError(f"the server says: {found['error'].decode('utf-8', 'replace')}")
        try:
            with Image.open(io.BytesIO(found["png_bytes"]), formats=("PNG",)) as image:
                classes = np.asarray(image)
        except OSError as error:
            raise PictureError(f"the server's answer is no PNG ({error})") from error
        if classes.ndim != 2 or classes.dtype != np.uint8:
            raise PictureError(f"the server's answer is a PNG of mode {image.mode}, not of class numbers")
        return classes

    def close(self) -> None:
        """Ends the connections."""
        self._calls.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _class_list(told):
    """The `DatasetInfo` of what `export.target.class_list` gives.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    names, colors = tuple(told["class_names"]), tuple(tuple(color) for color in told["colors"])
    if not all(isinstance(name, str) for name in names):
        raise ValueError("names that are no texts")
    if not all(len(color) == 3 and set(color) <= set(range(256)) for color in colors):
        raise ValueError("colors that are not red, green, blue from 0 to 255")
    return DatasetInfo(str(told["name"]), names, colors)
