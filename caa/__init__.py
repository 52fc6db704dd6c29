"""Channelized axial attention (chapter 3), for any model of Keras 2 or 3, on TensorFlow, JAX or PyTorch."""

from caa.axial import AxialAttention, attend_columns, attend_rows, attention_weights
from caa.channel import ChannelAttention, SqueezeExcite
from caa.channelized import ChannelizedAxialAttention, ChannelizedSelfAttention
from caa.pixels import attend_pixels

__all__ = [
    "AxialAttention",
    "ChannelAttention",
    "ChannelizedAxialAttention",
    "ChannelizedSelfAttention",
    "SqueezeExcite",
    "attend_columns",
    "attend_pixels",
    "attend_rows",
    "attention_weights",
]
