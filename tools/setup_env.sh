#!/usr/bin/env bash
# Makes an environment with FreeAnchor in it and leaves its interpreter in
# $PYTHON. Meant to be sourced:
#
#     . tools/setup_env.sh            # what running needs
#     . tools/setup_env.sh test       # with an extra: what the tests need
#
# An active virtual environment is used as it is; otherwise .venv is made in the
# project's folder by $PYTHON (python3 unless set). A second call changes nothing.

_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
_extra=${1:-}

_fail() {
    echo "$1" >&2
    exit 2
}

if [ -n "${VIRTUAL_ENV:-}" ] && [ -x "$VIRTUAL_ENV/bin/python" ]; then
    _venv=$VIRTUAL_ENV
else
    _venv=$_root/.venv
    _base=${PYTHON:-python3}
    command -v "$_base" >/dev/null ||
        _fail "No $_base here: install Python 3.10 or newer, or set PYTHON."
    "$_base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        _fail "$("$_base" --version) is too old: set PYTHON to 3.10 or newer."
    if [ ! -x "$_venv/bin/python" ]; then
        echo "Making a virtual environment in $_venv"
        "$_base" -m venv "$_venv" || {
            rm -rf "$_venv"
            _fail 'Could not make it; on Debian and Ubuntu: apt install python3-venv'
        }
    fi
fi
PYTHON=$_venv/bin/python
export PYTHON

# What was installed is noted, so that a second call needs no network.
_wanted=$( (echo "$_root" && cat "$_root/pyproject.toml" "$_root/setup.py") |
    cksum | tr -d ' ')
_stamp=$_venv/.freeanchor-${_extra:-run}-$_wanted
if [ ! -f "$_stamp" ]; then
    echo "Installing FreeAnchor${_extra:+ with what \"$_extra\" needs} (torch is large)"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check \
        --editable "$_root${_extra:+[$_extra]}" || _fail 'pip could not install it.'
    # YAPF, which MMEngine imports, writes its grammar to the user's cache when it is
    # first imported. Of processes that start together one would read half of it.
    "$PYTHON" -c 'import yapf' || _fail 'What was installed cannot be imported.'
    touch "$_stamp"
fi
