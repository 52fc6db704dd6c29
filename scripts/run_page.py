"""Writes one page for a training run: its evaluations, learning curves and figures.

    python scripts/run_page.py --workdir=runs/camvid

Writes `<workdir>/index.html`, which links the pictures in the folder (`figures/*.png` of scripts/visualize.py,
`eval_*.png` of scripts/evaluate.py): it works from the file system, without a network.
"""

from absl import flags

from deeplab_ksac.scripts.commandline.entry import start


def define_flags():
    """Of which run."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)


def run(given):
    """Gathers what there is and writes the page.

    Raises:
        FileNotFoundError: the folder is no run's.
    """
    from deeplab_ksac.runs.run_page import write_run_page

    print(write_run_page(given.workdir))
    return 0


if __name__ == "__main__":
    start("run_page", define_flags, run)
