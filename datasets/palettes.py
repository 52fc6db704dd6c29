"""Colors of the classes: the rule of PASCAL VOC and the fixed tables."""


def voc_palette(n):
    """The first `n` colors of PASCAL VOC's palette, a tuple of (red, green, blue).

    The bits of the label are dealt to red, green and blue in turn, the lowest label bits to the highest color bits.
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


# The colors in which Cambridge's labeled video and SegNet show these eleven classes.
CAMVID = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (0, 0, 192),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)

SCENES = (
    (110, 170, 230),
    (110, 180, 70),
    (220, 200, 140),
    (110, 100, 110),
    (30, 80, 180),
    (190, 90, 70),
    (20, 90, 30),
    (240, 50, 50),
    (250, 150, 200),
    (250, 250, 250),
    (140, 80, 20),
    (255, 220, 0),
)
