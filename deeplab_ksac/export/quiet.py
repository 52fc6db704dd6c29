"""Loggers of other packages, kept to errors."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Inside, a logger tells of errors alone."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
