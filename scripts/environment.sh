# Sourced by quickstart.sh and test.sh: a virtual environment of this project's own, with everything at a pinned version.
# VENV names its folder (default: .venv in the repository), PYTHON the interpreter (default: the first of 3.11, 3.10, 3.13
# and 3.12), STACK the versions: 2.15 for TensorFlow 2.15 with its Addons (default on Python 3.10 and 3.11) or current for
# TensorFlow 2.21 (default on Python 3.12 and 3.13, possible on all four), EXTRAS further extras: EXTRAS=gpu,onnx.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export VENV="${VENV:-$PWD/.venv}" PIP_DISABLE_PIP_VERSION_CHECK=1

is_version() {
    "$1" -c "import sys; sys.exit(not ($2) <= sys.version_info[:2] <= ($3))" 2> /dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.10 python3.13 python3.12 python3}; do
        if command -v "$candidate" > /dev/null && is_version "$candidate" 3,10 3,13; then
            command -v "$candidate"
            return
        fi
    done
    echo "needs Python 3.10, 3.11, 3.12 or 3.13, found ${PYTHON:-none}; set PYTHON to one, e.g. PYTHON=python3.13" >&2
    return 1
}

choose_stack() {
    local python="$1" stack="${STACK:-}"
    if [ -z "$stack" ]; then
        if is_version "$python" 3,10 3,11; then stack=2.15; else stack=current; fi
    fi
    case "$stack" in
        current) ;;
        2.15)
            if ! is_version "$python" 3,10 3,11; then
                echo "TensorFlow 2.15 needs Python 3.10 or 3.11, not $("$python" --version); set PYTHON, or STACK=current" >&2
                return 1
            fi
            ;;
        *)
            echo "STACK is 2.15 or current, not $stack" >&2
            return 1
            ;;
    esac
    echo "$stack"
}

# choose_extras stack [extra]: in brackets, as pip takes them, with those of the stack and of EXTRAS; keras-cv is for
# tests alone.
choose_extras() {
    local extras="${2:-},${EXTRAS:-}"
    if [ "$1" = 2.15 ]; then extras="$extras,addons${2:+,keras-cv}"; fi
    extras="$(tr -s , <<< "$extras")"
    extras="${extras#,}"
    extras="${extras%,}"
    echo "${extras:+[$extras]}"
}

# install_project [extra]
install_project() {
    local extras python stack constraints wanted
    python="$(find_python)"
    stack="$(choose_stack "$python")"
    constraints="constraints-$stack.txt"
    extras="$(choose_extras "$stack" "${1:-}")"
    wanted="$("$python" --version), TensorFlow $stack
$extras $(cat setup.py setup.cfg "$constraints" | sha256sum)"
    if [ "$(cat "$VENV/installed" 2> /dev/null)" = "$wanted" ]; then
        return
    fi
    echo "installing the stack \"$stack\" into $VENV (2 GB, some minutes on the first run)" >&2
    if [ -e "$VENV/installed" ] && [ "$(head -n 1 "$VENV/installed")" != "$(head -n 1 <<< "$wanted")" ]; then
        rm -r "$VENV" # of another Python or TensorFlow
    fi
    "$python" -m venv "$VENV"
    "$VENV/bin/pip" install --quiet "pip==25.3"
    "$VENV/bin/pip" install --quiet --constraint "$constraints" --editable ".$extras"
    echo "$wanted" > "$VENV/installed"
}
