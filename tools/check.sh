#!/usr/bin/env bash
# Installs what the tests need, then runs style, types and tests.
#
#     bash tools/check.sh                         # all but the slowest cases
#     bash tools/check.sh -m 'slow or not slow'   # every case; or any other
#                                                 # arguments for pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/setup_env.sh test

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
if [ $# -eq 0 ]; then
    set -- -m 'not slow'
fi
# One thread a worker: more threads than cores are slower than fewer.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} exec "$PYTHON" -m pytest -n auto "$@"
