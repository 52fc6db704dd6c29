"""--max_megapixels: pictures above it are refused, as a guard against small files that unpack to all of the memory."""

from deeplab_ksac.scripts.commandline import values

USUAL = 178  # twice Pillow's own limit, above which Pillow refuses


def define_flag():
    """--max_megapixels, the largest picture that is opened."""
    values.whole_number("max_megapixels", USUAL, "largest picture that is opened, in million pixels", least=1)


def allow(given):
    """Sets Pillow's limit for this process, and those that it forks, to what the flag says."""
    from PIL import Image

    if given.max_megapixels != USUAL:
        Image.MAX_IMAGE_PIXELS = given.max_megapixels * 1_000_000 // 2  # Pillow refuses what is above the double
