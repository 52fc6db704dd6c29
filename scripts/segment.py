"""Segments images and videos by a server: an exported model behind TensorFlow Serving.

    ksac segment --url=http://localhost:8501/v1/models/scenes --output_dir=segmented photo.jpg
    ksac segment --url=grpc://localhost:8500/v1/models/scenes --output_dir=segmented photos 'more/*.jpg' film.mp4

Nothing is computed here, and TensorFlow is not loaded, unless to open addresses such as gs://bucket/photos. The output
folder gets a folder for each of --kinds, as of `ksac predict`: `index/` (the class as pixel value, its color in the
palette), `color/` and `overlay/`. A file that cannot be read or segmented does not stop the rest: it is named at the
end, and the exit status is 1.
"""

import sys

from absl import flags

from deeplab_ksac import storage
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.scripts.commandline import large_pictures, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import check_writable


def define_flags():
    """Where the server is, where the results go, and how they are asked for and shown."""
    flags.DEFINE_string("url", None, "http://host:8501/v1/models/NAME or grpc://host:8500/…", required=True)
    flags.DEFINE_string("output_dir", None, "folder for the results", required=True)
    flags.DEFINE_list("kinds", ["index", "color", "overlay"], "any of index, color, overlay")
    flags.DEFINE_bool("upright", True, "whether photographs are turned by their EXIF rotation")
    values.whole_number("concurrency", 4, "requests that are under way at a time", least=1, most=256)
    values.number("timeout", 60.0, "seconds to wait for one answer", "(0, 86400]")
    large_pictures.define_flag()
    values.number("opacity", 0.5, "opacity of the classes in the overlay", "[0, 1]")
    flags.DEFINE_bool("legend", True, "whether the overlay has a legend of its classes")
    flags.DEFINE_bool("overwrite", False, "whether results in the output folder may be overwritten")


def run(*words):
    """Has the images that the words name segmented, as `given` by flags, the last: 0, or 1 if one was not."""
    *places, given = words

    from deeplab_ksac.prediction import files as written
    from deeplab_ksac.prediction.images import find_images
    from deeplab_ksac.serving.client import Client
    from deeplab_ksac.serving.folder import check_kinds, segment_files

    with values.named():
        kinds = check_kinds(given.kinds)
        client = Client(given.url, timeout=given.timeout)
    large_pictures.allow(given)
    paths = list({storage.real(path): path for place in places for path in find_images(place)}.values())
    output = storage.place(given.output_dir)
    written.check_output(output, kinds, overwrite=given.overwrite)
    check_inputs_stay(paths, [output / kind for kind in kinds])
    check_writable(output)
    with client:
        style = written.Style(client.info, given.opacity, given.legend)
        print(f"{client.address}, {style.info.num_classes} classes, {len(paths)} files", file=sys.stderr)
        summary = segment_files(
            client,
            paths,
            output,
            kinds=kinds,
            style=style,
            upright=given.upright,
            concurrency=given.concurrency,
            progress=Progress,
        )
    print(f"segmented {summary.count} pictures of {len(paths)} files into {output}")
    for line in summary.lines():
        print(line, file=sys.stderr)
    return 1 if summary.failures else 0


if __name__ == "__main__":
    start("segment", define_flags, run, arguments={"images…": "files, folders and globs, separated by spaces"})
