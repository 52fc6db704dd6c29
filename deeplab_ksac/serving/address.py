"""Where a served model is: `http://host:8501/v1/models/NAME`, or `grpc://host:8500/v1/models/NAME`."""

import dataclasses
import re
import urllib.parse

PORTS = {"http": 8501, "https": 443, "grpc": 8500}
PATH = re.compile(
    r"(?:/v1/models)?/(?P<model>[^/:]+)(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?/?(?::predict)?"
)
EXAMPLE = (
    "http://host:8501/v1/models/NAME or grpc://host:8500/v1/models/NAME, with /versions/7 or /labels/stable if needed"
)


@dataclasses.dataclass(frozen=True)
class Address:
    """A model of a server.

    Attributes:
        scheme: "http" or "https" for REST, or "grpc".
        host: name or number; an IPv6 number without its brackets.
        port: of the server.
        model: the name that it is served under.
        version, label: which of its versions; without both the server's choice, its newest.
    """

    scheme: str
    host: str
    port: int
    model: str
    version: int | None = None
    label: str = ""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """The address that a URL means; a port that it leaves out is TensorFlow Serving's usual one.

        Raises:
            ValueError: the URL is no such address.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:  # a port beyond 65535, a bracket too few
            raise ValueError(f"url {url!r} is no address ({error}); expected {EXAMPLE}") from None
        found = PATH.fullmatch(parts.path)
        if parts.scheme not in PORTS or not host or not found or parts.query or parts.fragment or parts.username:
            raise ValueError(f"url {url!r} is no address of a served model; expected {EXAMPLE}")
        model, version, label = (urllib.parse.unquote(found[name] or "") for name in ("model", "version", "label"))
        port = PORTS[parts.scheme] if port is None else port
        return cls(parts.scheme, host, port, model, int(version) if version else None, label)

    @property
    def place(self) -> str:
        """The server: "host:port"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def path(self) -> str:
        """The path of the model in TensorFlow Serving's REST."""
        which = f"/versions/{self.version}" if self.version is not None else ""
        which = which or (f"/labels/{urllib.parse.quote(self.label, safe='')}" if self.label else "")
        return f"/v1/models/{urllib.parse.quote(self.model, safe='')}{which}"

    def __str__(self):
        return f"{self.scheme}://{self.place}{self.path}"
