"""Atrous rates at another output stride than the one they are given for."""


def rates_at(output_stride, atrous_rates):
    """Rates given for output stride 16, in pixels of the map at `output_stride`: doubled at 8, halved at 32.

    Raises:
        ValueError: an output stride other than 8, 16, 32, or rates that do not halve to whole pixels.
    """
    if output_stride not in (8, 16, 32):
        raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride}")
    scaled = tuple(max(1, rate * 16 / output_stride) for rate in atrous_rates)
    if any(rate != int(rate) for rate in scaled):
        raise ValueError(f"atrous_rates {tuple(atrous_rates)} are not whole pixels at output stride {output_stride}")
    return tuple(int(rate) for rate in scaled)
