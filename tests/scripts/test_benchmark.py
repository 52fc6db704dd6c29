"""The benchmark's own arithmetic, on sides whose cost is known."""

import dataclasses
import json
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from deeplab_ksac.scripts import benchmark
from deeplab_ksac.scripts.cases import Bound, Case, growth, interpreters, measuring, start, training
from tests.places import ROOT
from tests.scripts.parsing import flags_of


def test_a_ratio_is_the_median_over_the_rounds():
    result = measuring.ratio(Bound("a", "b", 0.6), [1.0, 2.0, 9.0], [2.0, 4.0, 9.0])
    assert result["median"] == 0.5 and result["reached"] and result["sides"] == "a / b"
    assert not measuring.ratio(Bound("a", "b", 0.4), [1.0, 2.0, 9.0], [2.0, 4.0, 9.0])["reached"]


def test_memory_is_compared_by_its_medians():
    assert measuring.ratio(Bound("a", "b", 1.0, of="memory"), [1, 3, 100], [6, 1, 7])["median"] == 0.5


def test_only_the_sides_that_a_bound_names_are_run_and_they_take_turns():
    calls = []
    sides = {name: (lambda name=name: lambda: calls.append(name)) for name in ("a", "b", "c")}
    case = Case("test", sides, (Bound("a", "b", 1.0), Bound("c", "b", 1.0, of="memory")))
    seconds = measuring.alternate(case, rounds=3)
    assert calls == ["a", "b"] * (3 + measuring.WARM_UP)
    assert set(seconds) == {"a", "b"} and all(len(values) == 3 for values in seconds.values())


def test_times_are_divided_by_the_work():
    case = Case("test", {"a": lambda: lambda: time.sleep(0.02)}, (Bound("a", "a", 1.0),), work={"a": 10})
    assert 0.002 <= np.median(measuring.alternate(case, rounds=3)["a"]) < 0.02


def test_the_growth_of_memory_is_that_of_the_run():
    program = (
        "import numpy as np; from deeplab_ksac.scripts.cases.measuring import memory_growth;"
        "print(memory_growth(lambda: lambda: np.ones(2**24)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    slack = 2**20  # the kernel counts pages in batches per thread
    assert 2**27 - slack <= int(done.stdout) < 1.2 * 2**27


def test_what_a_side_needed_while_it_was_prepared_is_not_its_memory():
    program = (
        "import numpy as np; from deeplab_ksac.scripts.cases.measuring import memory_growth;"
        "prepare = lambda: [len(np.ones(2**25)), lambda: np.ones(2**23)][1];"
        "print(memory_growth(prepare))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    slack = 2**20  # the kernel counts pages in batches per thread
    assert 2**26 - slack <= int(done.stdout) < 1.2 * 2**26


def test_the_exponent_of_a_growth_is_that_of_its_power_law():
    sides = {size: (lambda size=size: lambda: 1e-3 * size**1.5) for size in (4, 16, 100)}
    known = growth.Growth("this", "size", 1.5, sides)
    found = growth.grown(known, measuring.alternate(known.case(), rounds=3))
    assert found.exponent == pytest.approx(1.5) and found.quartiles == pytest.approx((1.5, 1.5))
    assert found.seconds == pytest.approx((0.008, 0.064, 1.0))
    assert growth.line(found).split() == [
        "this",
        "size",
        "1.50",
        "1.50–1.50",
        "1.5",
        "4:",
        "0.008,",
        "16:",
        "0.064,",
        "100:",
        "1",
    ]
    steeper = growth.grown(known, {"4": [1.0, 2.0], "16": [4.0, 8.0], "100": [25.0, 50.0]})
    assert steeper.exponent == pytest.approx(1.0) and steeper.seconds == (1.5, 6.0, 37.5)


def test_growth_is_drawn_with_measurement_and_theory(tmp_path, monkeypatch, capsys):
    by_size = {size: (lambda size=size: lambda: 1e-3 * size) for size in (1, 10)}
    laws = (growth.Growth("this", "size", 1.0, by_size), growth.Growth("that", "size", 2.0, by_size))
    monkeypatch.setattr(growth, "GROWTHS", laws)
    benchmark.run(flags_of(benchmark, growth=str(tmp_path / "growth.svg"), rounds=1))
    drawn = (tmp_path / "growth.svg").read_text()
    assert "this: 1.00 (1)" in drawn and "that: 1.00 (2)" in drawn and drawn.count("stroke-dasharray: 3.6") == 2
    assert capsys.readouterr().out.count("1: 0.001, 10: 0.01") == 2


def test_what_grows_has_sizes_of_its_own():
    assert {law.by for law in growth.GROWTHS} == {
        "pixels", "classes", "atrous rates", "replicas on two cores", "pictures of a data set"
    }  # fmt: skip
    for law in growth.GROWTHS:
        assert list(law.sides) == sorted(law.sides) and len(law.sides) >= 3


def test_every_bound_names_sides_that_there_are():
    for name, case in measuring.CASES.items():
        for bound in case.bounds:
            assert {bound.side, bound.against} <= set(case.sides), name
            assert bound.of in ("time", "memory") and (bound.at_most is None or bound.at_most > 0)


def test_an_unknown_case_is_refused_in_words(tmp_path):
    command = [sys.executable, str(ROOT / "scripts/benchmark.py"), "--cases=pyramid_99"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "benchmark: no case is named 'pyramid_99'; there are pyramid_33" in done.stderr


@pytest.mark.parametrize(
    ("values", "words"),
    (
        ({"serve": "nope/a"}, "no case is named 'nope'"),
        ({"serve": "pyramid_33"}, "--serve must be pyramid_33/ and one of ksac"),
        ({"memory_of": "pyramid_33/nope"}, "--memory_of must be pyramid_33/ and one of .*, not 'nope'"),
        ({"output": "there/results.json"}, "there is no folder, so nothing can be written"),
        ({"output": "."}, r"\. is a folder, and is to be a file"),
        ({"growth": "growth.svg"}, "--growth measures sizes of its own; leave out --cases"),
        ({"growth": "there/growth.svg", "cases": []}, "there is no folder, so nothing can be written"),
        ({"other_python": "there"}, "--other_python=there is no program that can be run"),
    ),
)
def test_a_flag_that_makes_no_sense_is_said_before_anything_is_measured(values, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    with pytest.raises((ValueError, OSError), match=words):
        benchmark.run(flags_of(benchmark, **{"cases": ["pyramid_33"], **values}))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("quantity, named", (("time", ["a", "b"]), ("memory", ["b", "c"])))
def test_a_side_is_measured_in_what_its_bounds_are_of(quantity, named):
    case = Case("test", dict.fromkeys("abc"), (Bound("a", "b", 1.0), Bound("c", "b", 1.0, of="memory")))
    assert case.sides_measured_in(quantity) == named


def test_the_table_and_the_file_say_what_a_ratio_means(tmp_path, capsys, monkeypatch):
    sides = {"fast": lambda: lambda: 0.1, "slow": lambda: lambda: 0.4}  # seconds that they measured themselves
    monkeypatch.setattr(measuring, "CASES", {"test": Case("a test", sides, (Bound("fast", "slow", 0.5),))})
    output = tmp_path / "new" / "results.json"
    given = types.SimpleNamespace(
        memory_of=None, serve=None, growth=None, other_python=None, cases=[], rounds=3, processes=0, output=str(output)
    )
    assert benchmark.run(given) == 0
    meaning, _, row = capsys.readouterr().out.splitlines()
    assert meaning.endswith("below 1 it is faster (time) or smaller (memory)")
    assert row.split() == ["a", "test", "fast", "/", "slow", "time", "0.250", "0.250–0.250", "0.500"]
    written = json.loads(output.read_text())
    assert written["meaning"] == meaning and written["cases"]["test"]["ratios"][0]["median"] == 0.25


def test_what_was_measured_is_kept_where_a_later_case_fails(tmp_path, monkeypatch):
    def failing():
        raise OSError("no space left")

    cases = {
        "good": Case("good", {"a": lambda: lambda: 0.1}, (Bound("a", "a", None),)),
        "bad": Case("bad", {"a": failing}, (Bound("a", "a", None),)),
    }
    monkeypatch.setattr(measuring, "CASES", cases)
    output = tmp_path / "results.json"
    with pytest.raises(OSError, match="no space left"):
        benchmark.run(flags_of(benchmark, rounds=1, processes=0, output=str(output)))
    assert list(json.loads(output.read_text())["cases"]) == ["good"]


def test_why_a_fresh_process_did_not_measure_is_said():
    with pytest.raises(ValueError, match="--memory_of=nope/a ended with status 1: benchmark: no case is named 'nope'"):
        measuring.memory_in_fresh_process("nope", "a")


def test_why_a_command_that_is_timed_failed_is_said():
    program = "import sys; sys.exit('no such thing')"
    with pytest.raises(ValueError, match="ended with status 1: no such thing"):
        start.seconds_of("-c", program)
    assert start.seconds_of("-c", "") > 0


def test_the_process_of_a_side_that_ends_in_a_turn_is_no_measurement(monkeypatch):
    monkeypatch.setattr(training, "PROGRAM", "print('ready', flush=True); input()")
    turn = training.in_a_process(experiment="small")
    with pytest.raises(OSError, match="the process of a side ended with status 0"):
        turn()


def test_a_side_is_timed_in_this_and_in_another_interpreter():
    case = interpreters.between(sys.executable, "pyramid_33", measuring.CASES["pyramid_33"])
    sides = measuring.CASES["pyramid_33"].sides_measured_in("time")
    assert set(case.sides) == {f"{side} {where}" for side in sides for where in ("here", "there")}
    first = dataclasses.replace(case, bounds=case.bounds[:1])
    seconds = measuring.alternate(first, rounds=2)
    assert all(len(values) == 2 and min(values) > 0 for values in seconds.values()) and len(seconds) == 2


def test_an_interpreter_without_the_project_is_named(tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ValueError, match=r"python -m .* ended with status 3 before it answered"):
        interpreters.in_process(str(tmp_path / "python"), "pyramid_33", "any")()
