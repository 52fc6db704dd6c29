"""How a prediction is made: the flags for scales, flip, window …, with the experiment's own as the default."""

from absl import flags


def define_flags():
    """--scales, --flip, --window, --pad_to, --average; not given means what the experiment says."""
    flags.DEFINE_list("scales", None, "scales to average over, such as 0.75,1,1.25 (default: the experiment's)")
    flags.DEFINE_bool("flip", None, "average with the mirrored image (default: the experiment's)")
    flags.DEFINE_string("window", None, "sliding window in pixels: side or height x width (default: the experiment's)")
    flags.DEFINE_string(
        "pad_to", None, "smaller images are filled up to this side or height x width (default: the experiment's)"
    )
    flags.DEFINE_enum("average", "logits", ("logits", "probabilities"), "what is averaged over scales and flip")


def chosen(spec, given):
    """{"scales", "flip", "window", "pad_to", "average"}: those given as flags, else an experiment's evaluation's.

    Window and pad_to are (height, width) or None, as in an `EvalSpec`; the flags' "none" is None.

    Raises:
        ValueError: for scales or sides that are not numbers.
    """
    return {
        "scales": tuple(spec.scales) if given.scales is None else numbers(given.scales),
        "flip": bool(spec.flip if given.flip is None else given.flip),
        "window": spec.window if given.window is None else sides("window", given.window),
        "pad_to": spec.pad_to if given.pad_to is None else sides("pad_to", given.pad_to),
        "average": given.average,
    }


def sides(name, text):
    """(height, width) of "513" or "1025x2049"; None of "none".

    Raises:
        ValueError: naming what is neither.
    """
    if text == "none":
        return None
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"--{name} must be pixels, such as 513 or 1025x2049, or none, not {text!r}")
    return int(parts[0]), int(parts[-1])


def numbers(texts):
    """Numbers from the parts of a comma list.

    Raises:
        ValueError: naming what is not a number.
    """
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"--scales must be numbers separated by commas, not {','.join(texts)!r}") from None


def describe(*, scales, flip, window=None, pad_to=None, average="logits"):
    """The way of a prediction in words."""
    listed = ", ".join(f"{scale:g}" for scale in scales)
    parts = [f"scales {listed}" if len(scales) > 1 else f"scale {listed}"]
    parts += ["with flip"] * bool(flip)
    parts += [f"window {'x'.join(map(str, window))}"] if window is not None else []
    parts += [f"padded to {'x'.join(map(str, pad_to))}"] if pad_to is not None else []
    parts += ["probabilities averaged"] if average == "probabilities" else []
    return ", ".join(parts)
