#!/usr/bin/env bash
# Environment, lint, tests. Further arguments go to pytest: bash scripts/test.sh tests/caa -x
# STACK=current takes TensorFlow 2.21 where both are possible.

source "$(dirname "$0")/environment.sh"
install_project test

"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
TF_CPP_MIN_LOG_LEVEL=3 "$VENV/bin/python" -m pytest --numprocesses=2 --dist=loadscope "$@"
