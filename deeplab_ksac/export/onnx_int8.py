"""An ONNX file in 8 bits: static quantization by ONNX Runtime, as QuantizeLinear and DequantizeLinear in the graph."""

import logging
from pathlib import Path

import numpy as np

from deeplab_ksac.bands import Bands
from deeplab_ksac.export.quiet import quiet
from deeplab_ksac.export.rounding import Pictures, each
from deeplab_ksac.literal_paths import temporary_folder
from deeplab_ksac.whole_files import unwritable


def in_int8(content: bytes, pictures: Pictures, bands: Bands) -> bytes:
    """The content of an ONNX file with weights in int8, by channel, and maps in uint8.

    The ranges of all maps are the smallest and the largest value over the pictures, each at its own size. Batch
    normalization is merged into the convolutions first.

    Args:
        content: of a float32 file, "image" [N, H, W, C] -> ….
        pictures: representative ones.
        bands: of them.

    Raises:
        ValueError: as `rounding.each`.
        OSError: what is in between cannot be written.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        """The pictures in the form in which ONNX Runtime asks for them."""

        def __init__(self):
            self.batches = ({"image": picture[np.newaxis]} for picture in each(pictures, bands))

        def get_next(self):
            return next(self.batches, None)

    with temporary_folder("onnx_") as folder, quiet(logging.getLogger()):
        whole, merged, rounded = (Path(folder, f"{name}.onnx") for name in ("whole", "merged", "rounded"))
        try:
            whole.write_bytes(content)
            quant_pre_process(str(whole), str(merged), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(merged),
                str(rounded),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
            return rounded.read_bytes()
        except OSError as error:
            raise unwritable(folder, error) from error
