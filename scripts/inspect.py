"""Looks through a converted data set before anything is trained on it: numbers, a contact sheet, and warnings.

    python scripts/inspect.py voc2012 --data_dir=data
    python scripts/inspect.py mine --data_dir=data --splits=train,val --samples=24 --output=mine.png

Prints what each split holds and what is probably wrong with it, and writes the contact sheet (PNG) and everything that
was counted (JSON beside it).
"""

import importlib.machinery
import importlib.util
import pathlib
import sys

if __name__ == "inspect":
    # A script of this folder has it first on its path, and the standard library has a module of this name: whoever
    # asks for that one gets it.
    here = pathlib.Path(__file__).resolve().parent
    path = [entry for entry in sys.path if pathlib.Path(entry).resolve() != here]
    spec = importlib.machinery.PathFinder.find_spec("inspect", path)
    sys.modules["inspect"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["inspect"])
else:
    from scripts import inspection

    if __name__ == "__main__":
        inspection.run_app()
