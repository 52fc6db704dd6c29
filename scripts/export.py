"""Writes a trained model in a form that needs none of this project's code, and checks it.

    python scripts/export.py --workdir=runs/scenes --output=served/scenes/1
    python scripts/export.py --workdir=runs/scenes --output=scenes.onnx --format=onnx
    python scripts/export.py --workdir=runs/scenes --output=scenes.tflite --format=tflite --quantize=float16
    python scripts/export.py --workdir=runs/scenes --output=scenes.tflite --format=tflite --quantize=int8 \
        --representative=scenes/train --data_dir=data
    python scripts/export.py --output=page --format=web     # of the network that comes with this package

A SavedModel has the signatures "serving_default" (uint8 RGB [N, H, W, 3] of any size -> "classes", uint8 [N, H, W]),
"probabilities" (the same -> "classes" and "probabilities", float32 [N, H, W, K]), "serving_bytes" (JPEG or PNG files
of one size, string [N] -> "classes"), "png" and "png_as_stored" (files of any sizes -> index PNGs, with and without
turning by EXIF) and "class_list". A model of pictures of other bands takes those, uint8 or uint16 [N, H, W, C], as
tensors alone. TensorFlow Lite and ONNX give classes and probabilities. `classes.json` beside it has the names and
colors of the classes. "web" is a folder with a page that segments photographs in the browser; see it with
`python -m http.server --directory=page`.
"""

import itertools
import sys

from absl import flags

from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import AVERAGES, PRECISIONS, Views
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import model, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.storage import absolute, place
from deeplab_ksac.storage.copies import on_this_machine
from deeplab_ksac.whole_files import check_writable

ROUNDINGS = ("dynamic_range", "float16", "int8")  # what --quantize alone means comes first
LARGEST_COST = 1.0  # in points of mIoU, above which the layers that int8 costs most are told
COSTLY_LAYERS = 5  # of these at most
COSTLY_PICTURES = 2  # by which they are found
FORMATS = ("saved_model", "tflite", "onnx", "web")


def define_flags():
    """Where the model is, where it goes, its form, and what way of inference it has inside."""
    model.define_flags(is_optional=lambda: flags.FLAGS["format"].value == "web")
    flags.DEFINE_string("output", None, "folder (SavedModel, page) or file (.tflite, .onnx) to write", required=True)
    flags.DEFINE_enum("format", "saved_model", FORMATS, "what is written")
    values.scales(
        "scales",
        None,
        "scales to average over inside the model, such as 0.75,1,1.25 (default: the experiment's own if "
        "it is one, else 1)",
    )
    flags.DEFINE_bool("flip", False, "average with the mirrored image inside the model")
    flags.DEFINE_enum("average", Views().average, AVERAGES, "what is averaged over scales and flip")
    flags.DEFINE_enum("precision", "float32", PRECISIONS, "precision of a SavedModel's weights and arithmetic")
    values.word_or_switch(
        "quantize", ROUNDINGS, "rounding of TensorFlow Lite's numbers (alone: dynamic_range); of ONNX's int8 only"
    )
    flags.DEFINE_string("representative", None, "name/split of pictures by which int8 measures ranges, mine/train")
    values.whole_number("count", 100, "how many of them, spread over the split", least=1)
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets, for int8")
    values.whole_number("evaluate", 100, "pictures on which int8's mIoU is told beside float32's; 0 for none")
    flags.DEFINE_string("dataset", None, "name/split of those (default: what the experiment is evaluated on)")
    values.sides("size", None, "TensorFlow Lite for images of one size only: side or height x width")
    flags.DEFINE_string("runtime", None, "a page's ONNX Runtime: a folder (default: node_modules/onnxruntime-web/dist)")
    values.several_sides("warmup", None, "picture sizes that TensorFlow Serving is to warm up with: 513,1025x2049")
    flags.DEFINE_bool("averaged", None, "use moving averages of the weights (default: if the run kept them)")
    flags.DEFINE_bool("check", True, "compare what was written with the model, in a separate process")
    flags.DEFINE_bool("overwrite", False, "whether a model, and a list of classes, at --output may be replaced")


def run(given):
    """Loads the model and writes it as `given` by flags."""
    options = options_of(given)
    place = model.place(given)

    from deeplab_ksac import export
    from deeplab_ksac.models.loading import load
    from deeplab_ksac.precision import in_precision

    runtime = options.get("runtime", export.RUNTIME)
    export.check_output(given.format, given.output, overwrite=given.overwrite, runtime=runtime)
    check_inputs_stay([place.folder], [given.output])
    check_writable(absolute(given.output).parent)
    loaded = load(place, checkpoint=given.checkpoint, averaged=given.averaged)
    spec, served = loaded.experiment.model, served_views(given, loaded.experiment.evaluation.views)
    bands = loaded.info.bands
    if given.quantize == "int8":
        shown = representative(given, loaded)
        judged = evaluated(given, loaded)
        options["representative"] = shown
    folded = export.fold_projection(loaded.model, spec, bands)
    network = in_precision(folded, export.without_projection(spec), given.precision, bands)
    path = export.FORMATS[given.format](
        network, given.output, info=loaded.info, views=served, overwrite=given.overwrite, check=given.check, **options
    )
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    print(f"{given.format}: {path} ({size / 1e6:.1f} MB, step {loaded.step}, {served.describe()})")
    if given.quantize == "int8" and judged is not None:
        tell_cost(path, given, loaded, judged, served)
    return 0


def served_views(given, own):
    """How the written model sees its images, for the `given` flags and the experiment's `own` views.

    Pictures are not served at another scale than the one they were trained and evaluated at. What multiplies the time
    of a prediction is served only where it is asked for.
    """
    scales = given.scales or (own.scales if len(own.scales) == 1 else Views().scales)
    return Views(scales=scales, flip=given.flip, average=given.average)


def representative(given, loaded):
    """The pictures that --representative and --count name."""
    from deeplab_ksac.runs.rounded_files import SplitPictures

    split = Split.parse(given.representative)
    return SplitPictures(loaded, split, data_dir=given.data_dir, count=given.count)


def evaluated(given, loaded):
    """The pictures that --dataset and --evaluate name, None for none."""
    from deeplab_ksac.runs.rounded_files import SplitPictures

    if given.evaluate == 0:
        return None
    split = Split.parse(given.dataset or loaded.experiment.evaluation.dataset)
    return SplitPictures(loaded, split, data_dir=given.data_dir, count=given.evaluate)


def tell_cost(path, given, loaded, pictures, views):
    """Prints the mIoU of a file in 8 bits beside that of the model; where it costs much, the layers that cost most."""
    from deeplab_ksac.runs.rounded_files import cost_of

    size = None if given.size == values.NONE else given.size
    with on_this_machine(path) as file:
        cost = cost_of(file, given.format, loaded, pictures, views, size=size)
    print(cost.describe(given.quantize))
    if 100 * (cost.model - cost.file) > LARGEST_COST:
        for line in costly_layers(loaded, pictures, size, given.format):
            print(f"export: {line}", file=sys.stderr)


def costly_layers(loaded, pictures, size, form):
    """Yields the lines that say which layers lose most, and what may help."""
    from deeplab_ksac.export.rounded_layers import cost_by_layer
    from deeplab_ksac.export.rounding import resized

    shown = list(itertools.islice(pictures, COSTLY_PICTURES))
    costs = cost_by_layer(
        loaded.model, [resized(picture, size or picture.shape[:2]) for picture in shown], loaded.info.bands
    )
    yield (
        f"int8 costs more than {LARGEST_COST:g} point; share of the pixels of {len(shown)} pictures that get another "
        "class where one layer alone is rounded, the largest:"
    )
    for layer, share in itertools.islice(costs.items(), COSTLY_LAYERS):
        yield f"{share:8.2%}  {layer}"
    finer = "--quantize=float16" if form == "tflite" else "float32 (no --quantize)"
    yield (
        "where all are small, more or other pictures may help (--count, --representative); where one is large, its "
        f"numbers are too uneven for 8 bits, and {finer} is left"
    )


def options_of(given):
    """The options of the chosen format alone.

    Raises:
        ValueError: an option of another format, or an output of another suffix.
    """
    if given.format != "tflite" and given.size is not None:
        raise ValueError(f"--size is for --format=tflite, not for {given.format}")
    if given.quantize and given.format != "tflite" and (given.format, given.quantize) != ("onnx", "int8"):
        raise ValueError(f"--quantize={given.quantize} is for --format=tflite, not for {given.format}")
    check_int8_flags(given)
    if given.format != "saved_model" and given.precision != "float32":
        raise ValueError(f"--precision={given.precision} is for --format=saved_model, not for {given.format}")
    if given.format != "web" and given.runtime is not None:
        raise ValueError(f"--runtime is for --format=web, not for {given.format}")
    if given.format != "saved_model" and given.warmup is not None:
        raise ValueError(f"--warmup is for --format=saved_model, not for {given.format}")
    if given.format in ("tflite", "onnx") and place(given.output).suffix != f".{given.format}":
        raise ValueError(f"--output={given.output} must end in .{given.format}")
    size = None if given.size == values.NONE else given.size
    of_formats = {
        "tflite": {"quantize": given.quantize, "size": size},
        "saved_model": {"warmup": given.warmup or ()},
        "onnx": {"quantize": given.quantize},
        "web": {} if given.runtime is None else {"runtime": given.runtime},
    }
    return of_formats[given.format]


def check_int8_flags(given):
    """Raises ValueError where int8 lacks what it needs, or what it alone needs is given without it."""
    if given.quantize != "int8" and given.representative is not None:
        raise ValueError("--representative is for --quantize=int8")
    if given.quantize != "int8":
        return
    if given.representative is None or given.data_dir is None:
        raise ValueError("--quantize=int8 needs --representative=name/split and --data_dir, for pictures to measure by")
    for flag in ("representative", "dataset"):
        try:
            Split.parse(getattr(given, flag) or "any/split")
        except ValueError:
            raise ValueError(f"--{flag} must be name/split, such as mine/train, not {getattr(given, flag)!r}") from None


if __name__ == "__main__":
    start("export", define_flags, run)
