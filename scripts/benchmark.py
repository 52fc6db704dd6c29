"""Measures speed and memory as ratios of two sides within one run.

    ksac benchmark --cases=pyramid_33,attention_65
    ksac benchmark --output=benchmark.json          # all cases
    ksac benchmark --cases=pyramid_33 --other_python=/another/venv/bin/python
    ksac benchmark --growth=growth.svg --rounds=5   # instead of cases: how costs grow, drawn

The sides of a case take turns, so that a busy moment of the machine hits all of them; a ratio is the median over the
rounds, with its quartiles: below 1 the first side is faster, or smaller. Memory is what the peak of a fresh process
grows by while it runs a side once.
"""

import json
import shutil
from pathlib import Path

from absl import flags

from deeplab_ksac.scripts.commandline import values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.storage import local
from deeplab_ksac.whole_files import check_file_writable, remove_partial, write_whole


def define_flags():
    """Which cases, how often, and where the results go."""
    flags.DEFINE_list("cases", [], "names of cases; all of them by default")
    values.whole_number("rounds", 11, "how often the sides of a case take turns", least=1)
    values.whole_number("processes", 5, "fresh processes per side for memory; 0 for none")
    flags.DEFINE_string("output", None, "JSON file for the results")
    flags.DEFINE_string(
        "other_python", None, "an interpreter of another environment: each side's time here / there instead"
    )
    flags.DEFINE_string("growth", None, "SVG file: how costs grow with sizes, measured instead of cases, and drawn")
    flags.DEFINE_string("memory_of", None, "case/side: only print the bytes by which its memory grows")
    flags.DEFINE_string("serve", None, "case/side: run it once for each line of standard input, and print the seconds")


def run(given):
    """Measures case by case and prints a table."""
    from deeplab_ksac.scripts.cases import interpreters
    from deeplab_ksac.scripts.cases.measuring import (
        CASES,
        HEADER,
        MEANING,
        machine,
        measure,
        memory_growth,
        table_lines,
    )

    flag = "serve" if given.serve else "memory_of"
    named = getattr(given, flag)
    case, _, side = (named or "").partition("/")
    unknown = [name for name in ([case] if named else given.cases) if name not in CASES]
    if unknown:
        raise ValueError(f"no case is named {unknown[0]!r}; there are {', '.join(CASES)}")
    if named and side not in CASES[case].sides:
        raise ValueError(f"--{flag} must be {case}/ and one of {', '.join(CASES[case].sides)}, not {side!r}")
    if given.serve:
        interpreters.serve(CASES[case].sides[side])
        return 0
    if given.memory_of:
        print(memory_growth(CASES[case].sides[side]))
        return 0
    if given.growth and (given.cases or given.output or given.other_python):
        raise ValueError("--growth measures sizes of its own; leave out --cases, --output and --other_python")
    for file in filter(None, (given.output, given.growth)):
        check_file_writable(local(file, "the output of a benchmark"))
    if given.other_python and shutil.which(given.other_python) is None:
        raise ValueError(f"--other_python={given.other_python} is no program that can be run")
    if given.growth:
        draw_growth(given)
        return 0
    results = {}
    print(f"{MEANING}\n{HEADER}")
    try:
        for name in given.cases or CASES:
            case = interpreters.between(given.other_python, name, CASES[name]) if given.other_python else CASES[name]
            results[name] = measure(name, case, rounds=given.rounds, processes=given.processes)
            print("\n".join(table_lines(results[name])), flush=True)
    finally:  # what was measured is kept where a later case fails
        if given.output and results:
            content = {"machine": machine(), "meaning": MEANING, "cases": results}
            write(given.output, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return 0


def draw_growth(given):
    """Measures how costs grow, prints the exponents and draws the curves."""
    from deeplab_ksac.figures.power_laws import PowerLaw, svg
    from deeplab_ksac.scripts.cases import growth
    from deeplab_ksac.scripts.cases.measuring import alternate

    panels = {}
    print(growth.HEADER)
    for each in growth.GROWTHS:
        found = growth.grown(each, alternate(each.case(), given.rounds))
        law = PowerLaw(each.what, tuple(each.sides), found.seconds, found.exponent, each.exponent)
        panels.setdefault(each.by, []).append(law)
        print(growth.line(found), flush=True)
    write(given.growth, svg(panels, title="How costs grow, with the exponents that were measured, and of theory"))


def write(file, text):
    """Puts a text into a file of this command, and its folder where it is missing."""
    folder, name = Path(file).parent, Path(file).name
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder, [name])
    write_whole(file, text)


if __name__ == "__main__":
    start("benchmark", define_flags, run)
