"""Command lines: `python scripts/<name>.py` or `python -m scripts.<name>`, from any folder.

Importing this package puts the repository first on the path, so that its own `datasets` is found before an installed
Hugging Face package of the same name, and says so when there is one.
"""

import importlib.metadata
import os
import pathlib
import sys
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent


def prefer_own_packages():
    """Puts the repository first on the path; warns of an installed distribution that has the name of our `datasets`.

    Raises:
        ImportError: the other `datasets` was imported before.
    """
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry != str(ROOT))]
    imported = sys.modules.get("datasets")
    if imported is not None and pathlib.Path(imported.__file__ or "").parent != ROOT / "datasets":
        raise ImportError(
            f"another package named 'datasets' is loaded ({imported.__file__}); this project's own must come first: "
            "import it before, or use an environment without the other"
        )
    try:
        version = importlib.metadata.version("datasets")
    except importlib.metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"Hugging Face datasets {version} is installed beside this project's package of the same name; in these "
        "scripts 'datasets' means the project's own",
        stacklevel=2,
    )


prefer_own_packages()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes hide ours; errors are raised
