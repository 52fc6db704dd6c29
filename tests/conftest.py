"""Two logical CPU devices for every test, since TensorFlow's devices can be split only before their first use."""

from deeplab_ksac.training.strategy import split_cpu

split_cpu(2)
