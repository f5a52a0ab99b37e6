#!/usr/bin/env bash
# Train on several GPUs, or several processes where there is no GPU.
#
#     bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#
# On several machines run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# With MAX_RESTARTS=3 processes that die are started again, and go on where they were.

set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: [MAX_RESTARTS=...] [PORT=...] [NNODES=... NODE_RANK=... MASTER_ADDR=...] $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
shift 2

exec bash "$(dirname "${BASH_SOURCE[0]}")/torchrun.sh" "$GPUS" train.py "$CONFIG" "$@"
