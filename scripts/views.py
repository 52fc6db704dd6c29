"""How a prediction is made: the flags for scales, flip and window, with the experiment's own as the default."""

from absl import flags


def define_flags():
    """--scales, --flip, --window; not given means what the experiment says."""
    flags.DEFINE_list("scales", None, "scales to average over, such as 0.75,1,1.25 (default: the experiment's)")
    flags.DEFINE_bool("flip", None, "average with the mirrored image (default: the experiment's)")
    flags.DEFINE_integer("window", None, "side of the sliding window in pixels (default: the experiment's)")


def chosen(spec, given):
    """{"scales", "flip", "window"}: those given as flags, else those of an experiment's evaluation.

    The window is (height, width) or None, as in an `EvalSpec`.

    Raises:
        ValueError: for scales that are not numbers.
    """
    return {
        "scales": tuple(spec.scales) if given.scales is None else numbers(given.scales),
        "flip": bool(spec.flip if given.flip is None else given.flip),
        "window": spec.window if given.window is None else (given.window, given.window),
    }


def numbers(texts):
    """Numbers from the parts of a comma list.

    Raises:
        ValueError: naming what is not a number.
    """
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"--scales must be numbers separated by commas, not {','.join(texts)!r}") from None


def describe(*, scales, flip, window=None):
    """Scales, flip and window in words."""
    listed = ", ".join(f"{scale:g}" for scale in scales)
    parts = [f"scales {listed}" if len(scales) > 1 else f"scale {listed}"]
    parts += ["with flip"] * bool(flip)
    parts += [f"window {'x'.join(map(str, window))}"] if window is not None else []
    return ", ".join(parts)
