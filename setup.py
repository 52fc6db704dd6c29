"""What setup.cfg cannot say: `datasets` and `scripts` of the repository are installed below `deeplab_ksac`.

In a checkout, links in `deeplab_ksac/` show them to Python and to editors; a build needs no links, so that it works
where Git writes none (Windows). Packages are found, not listed.
"""

import pathlib
import shutil

from setuptools import find_packages, setup

TOP_LEVEL = ("caa", "car", "deeplab_ksac")
BELOW = ("datasets", "scripts")


def packages_in(folders):
    return find_packages(include=[pattern for folder in folders for pattern in (folder, f"{folder}.*")])


shutil.rmtree(pathlib.Path(__file__).with_name("build") / "lib", ignore_errors=True)  # else old modules are packed too
setup(
    packages=sorted({*packages_in(TOP_LEVEL), *(f"deeplab_ksac.{name}" for name in packages_in(BELOW))}),
    package_dir={f"deeplab_ksac.{name}": name for name in BELOW},
)
