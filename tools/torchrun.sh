#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: run a tool in GPUS processes on this machine.
#
#     bash tools/torchrun.sh GPUS TOOL.py [arguments of the tool]
#
# Ends with the exit code of the process that was the cause: 75 for all stopped on
# request with their state saved, 128 + n for one that was ended by signal n.

set -euo pipefail

GPUS=$1
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOOL=$TOOLS/$2
shift 2

PYTHON=${PYTHON:-python}
NNODES=${NNODES:-1}
if [ -z "${PORT:-}" ]; then
    if [ "$NNODES" -gt 1 ]; then
        PORT=29500 # all machines must use the same
    else
        PORT=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
    fi
fi

# The processes share the machine's cores.
if [ -z "${OMP_NUM_THREADS:-}" ]; then
    OMP_NUM_THREADS=$(($(nproc) / GPUS))
    [ "$OMP_NUM_THREADS" -ge 1 ] || OMP_NUM_THREADS=1
fi
export OMP_NUM_THREADS
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}
PYTHONPATH=$(dirname "$TOOLS")${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

exec "$PYTHON" "$TOOLS/launch.py" \
    --nnodes="$NNODES" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="$PORT" \
    --nproc_per_node="$GPUS" \
    --max_restarts="${MAX_RESTARTS:-0}" \
    "$TOOL" "$@" --launcher pytorch
