"""Computes a frozen backbone's features of all pictures once, for heads to be trained on.

    ksac cache-features --config=animals_ksac_lite0 --backbone_weights=lite0.safetensors --data_dir=data \\
        --name=animals_lite0 --views=4
    ksac train --config=animals_ksac_lite0 --backbone_weights=lite0.safetensors --data_dir=data --workdir=runs/head \\
        '--config.stages[0].freeze=c5' '--config.stages[0].features=animals_lite0'

How a view is cut (sizes, scales, flips, distortions) is what the experiment's data say, drawn by --seed. The features
are stored in half precision as <data_dir>/<name>. A call that was stopped, by whatever, is continued by the same call.
"""

import functools
import sys

from absl import flags

from deeplab_ksac.experiment import LARGEST_SEED
from deeplab_ksac.scripts.commandline import config, devices, values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.model import MODEL, define_code_flag
from deeplab_ksac.scripts.commandline.progress import Progress


def define_flags():
    """Which backbone, of which pictures, and where the features go."""
    config.define_flag()
    flags.DEFINE_string(
        "data_dir", None, "folder of the converted data sets, on this machine; the features become one beside them"
    )
    flags.DEFINE_string("name", None, "name of the folder of the features")
    values.whole_number("views", 4, "views of each picture", least=1)
    values.whole_number("seed", 0, "seed of the views", most=LARGEST_SEED)
    values.whole_number("stage", 0, "the experiment's stage whose data say how a view is cut")
    flags.DEFINE_list("levels", [], "levels of the pyramid, as in c2,c5 (default: those that the experiment reads)")
    values.whole_number("batch_size", 8, "views at a time", least=1)
    flags.DEFINE_string(
        "backbone_weights", None, "the backbone's weights: as of `ksac train`, which has to name the same"
    )
    flags.DEFINE_string("init_from", None, f"trained model whose backbone is taken: {MODEL}")
    define_code_flag()
    devices.define_flags()
    flags.mark_flags_as_required(["config", "data_dir", "name"])


def run(given):
    """Computes what is not there yet; prints what there is."""
    experiment = config.chosen(given.config)

    from deeplab_ksac.training.feature_caching import cache_features

    print(f"{experiment.name}: {experiment.model.backbone.name} on {devices.prepare(given)}", file=sys.stderr)
    header = cache_features(
        experiment,
        data_dir=given.data_dir,
        name=given.name,
        views=given.views,
        seed=given.seed,
        stage=given.stage,
        levels=given.levels,
        batch_size=given.batch_size,
        init_from=given.init_from,
        backbone_weights=given.backbone_weights,
        allow_code=given.allow_code,
        progress=Progress,
        tell=functools.partial(print, file=sys.stderr),
    )
    levels = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in header.levels.items())
    size = header.count * header.view_bytes()
    what = f"{header.views} views of {header.records} pictures, {levels}"
    print(f"{given.data_dir}/{given.name}: {what}, {size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    start("cache_features", define_flags, run)
