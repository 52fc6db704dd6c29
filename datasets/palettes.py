"""Colors of the classes by the rule of PASCAL VOC."""


def voc_palette(n: int) -> tuple[tuple[int, int, int], ...]:
    """The first `n` colors of PASCAL VOC's palette, a tuple of (red, green, blue).

    The bits of the label are dealt to red, green and blue in turn, the lowest label bits to the highest color bits.

    Raises:
        ValueError: `n` is not in 0…256.
    """
    if not 0 <= n <= 256:
        raise ValueError(f"a palette has at most 256 colors, not {n}")
    colors = []
    for label in range(n):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colors.append(tuple(color))
    return tuple(colors)
