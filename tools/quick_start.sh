#!/usr/bin/env bash
# Trains the quick-start detector on a CPU, tests it and draws what it finds.
#
#     bash tools/quick_start.sh
#
# Nothing has to be downloaded but the Python packages. Arguments are passed to
# tools/train.py; without any, a run that was interrupted goes on, and one that has
# ended is validated again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/setup_env.sh ''  # no extra; else it would take this script's arguments

if [ $# -eq 0 ]; then
    set -- --resume
fi
"$PYTHON" tools/train.py configs/free_anchor_r18_fpn_shapes.py "$@"
