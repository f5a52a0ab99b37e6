#!/usr/bin/env bash
# Run the benchmarks on a machine with a CUDA device and without a network.
#
#   bash benchmarks/gpu.sh WHEELS PEER [options of benchmarks.run]
#
# WHEELS  folder with the wheels that README.md lists
# PEER    folder with the peer's scripts
#
# Python 3.12 with torch 2.11, torchvision 0.26, OpenCV, scipy and matplotlib is
# expected (PYTHON names another interpreter). The wheels go into a virtual
# environment of their own, BENCHMARK_ENV, by default in the system's temporary
# folder. Run it again after an interruption: what is measured is kept.
set -euo pipefail
wheels=${1:?usage: bash benchmarks/gpu.sh WHEELS PEER [options]}
peer=${2:?usage: bash benchmarks/gpu.sh WHEELS PEER [options]}
shift 2
dir=${BENCHMARK_ENV:-${TMPDIR:-/tmp}/freeanchor_benchmarks}
wheels=$(realpath "$wheels")
peer=$(realpath "$peer")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -e "$dir/ready" ]; then
    "${PYTHON:-python3}" -m venv --system-site-packages "$dir"
    # --no-deps: nothing may replace the torch and numpy of the machine.
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-index --no-deps --ignore-installed "$wheels"/*.whl
    touch "$dir/ready"
fi
PYTHONPATH=. "$dir/bin/python" -m benchmarks.run gpu --peer "$peer" --resume "$@"
