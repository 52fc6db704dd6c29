"""One image through the parts of a head, with the head's weights, in the loops of tests.literal."""

from tests.literal import convolution as literal
from tests.random_layers import weights_of


def conv_norm_relu(head, name, x, *, relu=True):
    """The `ConvNormAct` called `name`."""
    return literal.conv_norm_relu(x, *weights_of(head, name), relu=relu)


def conv(head, name, x):
    """The convolution with a bias called `name`."""
    return literal.convolve(x, *weights_of(head, name))


def images(pyramid):
    """The images of a pyramid, one dict of arrays each."""
    arrays = {level: x.numpy() for level, x in pyramid.items()}
    return [{level: x[index] for level, x in arrays.items()} for index in range(len(arrays["c5"]))]
