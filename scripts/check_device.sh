#!/usr/bin/env bash
# What can be found out only on a machine with a GPU: the tests that matter there, and ratios of time and of peak memory.
# bash scripts/check_device.sh [file for the results, default device.json]
# EXTRAS= (empty) leaves out NVIDIA's libraries: then it is the CPU that is checked.

export EXTRAS="${EXTRAS-gpu}"
source "$(dirname "$0")/environment.sh"
install_project test
output="${1:-device.json}"
parts="$(mktemp -d)"
trap 'rm -r "$parts"' EXIT

tests=( # KSAC and CAA against their oracles, the step's precision, compilation and repeatability
    tests/deeplab_ksac/test_{devices,ksac,aspp,saved_precision}.py tests/deeplab_ksac/tensor_ops tests/caa tests/car
    tests/deeplab_ksac/training/test_{step,options,xla,determinism}.py
)
cases="pyramid_33,pyramid_65,pyramid_33_five_rates,pyramid_33_training,pyramid_65_training,attention_65,attention_65_training"
cases="$cases,class_aware,deterministic"

export TF_CPP_MIN_LOG_LEVEL=3
"$VENV/bin/python" -m pytest "${tests[@]}" --junitxml="$parts/tests.xml" || echo "some tests failed; $output names them" >&2
"$VENV/bin/ksac" benchmark --cases="$cases" --output="$parts/benchmark.json"

"$VENV/bin/python" - "$parts" "$output" <<'PYTHON'
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

import tensorflow as tf

from deeplab_ksac.runs.provenance import provenance

parts, output = map(pathlib.Path, sys.argv[1:])
suite = next(xml.parse(parts / "tests.xml").getroot().iter("testsuite"))
failed = [
    {"test": f"{case.get('classname')}::{case.get('name')}", "message": problem.get("message")}
    for case in suite.iter("testcase")
    for problem in case
    if problem.tag in ("failure", "error")
]
counts = {name: int(suite.get(name)) for name in ("tests", "skipped", "failures", "errors")}
content = {
    "machine": provenance(tf.distribute.get_strategy()),
    "tests": {**counts, "seconds": float(suite.get("time")), "failed": failed},
    "benchmark": json.loads((parts / "benchmark.json").read_text()),
}
output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
print(f"{counts['tests']} tests, {len(failed)} failed; all is in {output}")
PYTHON
