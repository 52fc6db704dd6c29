# Sourced by quickstart.sh and test.sh: a virtual environment of this project's own, with everything at a pinned version.
# VENV names its folder (default: .venv in the repository), PYTHON the interpreter (default: the first of 3.11 and 3.10),
# CONSTRAINTS the file of pins.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export VENV="${VENV:-$PWD/.venv}" PIP_DISABLE_PIP_VERSION_CHECK=1
constraints="${CONSTRAINTS:-constraints.txt}"

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.10 python3}; do
        if command -v "$candidate" > /dev/null && "$candidate" -c \
            'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 12))' 2> /dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "TensorFlow 2.15 needs Python 3.10 or 3.11, found ${PYTHON:-none}; set PYTHON to one, e.g. PYTHON=python3.11" >&2
    return 1
}

install_project() {
    local extras="$1" wanted python
    wanted="$extras $(cat setup.py setup.cfg "$constraints" | sha256sum)"
    if [ "$(cat "$VENV/installed" 2> /dev/null)" = "$wanted" ]; then
        return
    fi
    python="$(find_python)"
    echo "installing into $VENV (2 GB, some minutes on the first run)" >&2
    "$python" -m venv "$VENV"
    "$VENV/bin/pip" install --quiet "pip==25.3"
    "$VENV/bin/pip" install --quiet --constraint "$constraints" --editable ".[$extras]"
    echo "$wanted" > "$VENV/installed"
}
