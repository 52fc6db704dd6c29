"""Writes a trained model as a SavedModel that needs none of this project's code.

    python scripts/export.py --workdir=runs/scenes --output=served/scenes

The signature takes uint8 RGB [N, H, W, 3] of any size and gives "classes" (uint8 [N, H, W]) and "probabilities"
(float32 [N, H, W, K]); `assets.extra/classes.json` beside it has the class names and colors.
"""

from absl import app, flags

from scripts import views
from scripts.output import exit_status

FLAGS = flags.FLAGS


def define_flags():
    """Where the model is, where the SavedModel goes, and what way of inference it has inside."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_string("output", None, "folder to write", required=True)
    flags.DEFINE_list("scales", ["1"], "scales to average over inside the SavedModel, such as 0.75,1,1.25")
    flags.DEFINE_bool("flip", False, "average with the mirrored image inside the SavedModel")
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_bool("overwrite", False, "whether a SavedModel at --output may be replaced")


def main(argv):
    """Exports what the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(lambda: run(FLAGS), name="export")


def run(given):
    """Loads the workdir's model and writes it as `given` by flags."""
    view = {"scales": views.numbers(given.scales), "flip": given.flip}

    from deeplab_ksac.export import export_saved_model, fold_projection
    from deeplab_ksac.training import checkpoints

    loaded = checkpoints.load_model(given.workdir, step=given.step)
    model = fold_projection(loaded.model, loaded.experiment.model)
    path = export_saved_model(model, given.output, info=loaded.info, overwrite=given.overwrite, **view)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"SavedModel: {path} ({size / 1e6:.1f} MB, step {loaded.step}, {views.describe(**view)})")
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)
