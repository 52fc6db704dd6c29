"""Notebooks, executed from top to bottom in a kernel of this Python.

    python -m tests.examples.notebooks examples/own_pictures.ipynb

executes one where nothing of an earlier call is left, and puts what its cells give into the file.
"""

import os
import pathlib
import sys
import tempfile

import nbclient
import nbformat

from tests.places import ROOT

SECONDS = 1200  # for a cell
PICTURE = "image/jpeg"  # a third of the PNG that is given beside it


def executed(path: pathlib.Path, folder: pathlib.Path, parameters: str | None = None) -> nbformat.NotebookNode:
    """The notebook with what its cells give, executed in a folder.

    Args:
        path: of the notebook.
        folder: where it is executed.
        parameters: in place of what stands in the cell that is tagged "parameters".
    """
    notebook = nbformat.read(path, as_version=4)
    if parameters is not None:
        (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        cell.source = parameters
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        coalesce_streams=True,  # of a bar its last state
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return notebook


def text_of(cell: nbformat.NotebookNode) -> str:
    """All text that a cell gives."""
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


def pictures_of(cell: nbformat.NotebookNode) -> list[str]:
    """The pictures that a cell gives, JPEG files in base64."""
    data = (output.get("data", {}) for output in cell.get("outputs", ()))
    return [kinds[PICTURE] for kinds in data if PICTURE in kinds]


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as empty:
        found = executed(place, pathlib.Path(empty))
    for cell in found.cells:
        cell.metadata.pop("execution", None)  # times, which differ
        for output in cell.get("outputs", ()):
            if PICTURE in output.get("data", {}):
                output.data.pop("image/png", None)
    nbformat.write(found, place)
