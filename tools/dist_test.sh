#!/usr/bin/env bash
# Test on several GPUs, or several processes where there is no GPU.
#
#     bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
#
# On several machines run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.

set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: [PORT=...] [NNODES=... NODE_RANK=... MASTER_ADDR=...] $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
shift 3

exec bash "$(dirname "${BASH_SOURCE[0]}")/torchrun.sh" "$GPUS" test.py "$CONFIG" "$CHECKPOINT" "$@"
