"""One page for one training run: its evaluations, its learning curves and every figure that was drawn of it.

    python scripts/run_page.py --workdir=runs/camvid

Writes `<workdir>/index.html`, which links the pictures in the folder (`figures/*.png` of scripts/visualize.py,
`eval_*.png` of scripts/evaluate.py): it works from the file system, without a network.
"""

from absl import app, flags

from deeplab_ksac.scripts.commandline.ending import exit_status

FLAGS = flags.FLAGS


def define_flags():
    """Of which run."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)


def main(argv):
    """Writes the page; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(lambda: run(FLAGS), name="run_page")


def run(given):
    """Gathers what there is and writes the page.

    Raises:
        FileNotFoundError: the folder is no run's.
    """
    from deeplab_ksac.runs.run_page import write_run_page

    print(write_run_page(given.workdir))
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)
