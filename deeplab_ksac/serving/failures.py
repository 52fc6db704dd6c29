"""What goes wrong between a client and a server: for one picture, or for all."""


class ServerError(OSError):
    """The server, or the model there, cannot be used: no further picture would fare better."""


class PictureError(ValueError):
    """One picture was not segmented, and the server said why."""


def no_server(place: str, why: object, port: str) -> ServerError:
    """Nobody answers at a place, "host:port"."""
    return ServerError(f"no server answers at {place} ({why}); is it running, and is that its {port}?")


def no_model(where: str, said: str) -> ServerError:
    """The server has no such model or version."""
    return ServerError(f"the server has no model or version {where} ({said})")


def no_signature(where: str, signature: str) -> ServerError:
    """The model lacks a signature."""
    return ServerError(
        f"the model {where} has no signature {signature!r}; export it again with this version of ksac export (one of "
        "pictures of other bands than RGB takes no files)"
    )


def too_busy(place: str, said: str) -> ServerError:
    """The server at a place, "host:port", has more requests than it takes."""
    return ServerError(f"the server at {place} is too busy ({said}); try fewer requests at a time")


def too_slow(seconds: float) -> PictureError:
    """No answer in time."""
    return PictureError(f"no answer within {seconds:g} seconds; --timeout gives more")
