#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: run a tool as a job of Slurm.
#
#     bash tools/srun.sh PARTITION JOB_NAME TOOL.py [arguments of the tool]

set -euo pipefail

PARTITION=$1
JOB_NAME=$2
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOOL=$TOOLS/$3
shift 3

GPUS=${GPUS:-8}
if [ -z "${GPUS_PER_NODE:-}" ]; then
    GPUS_PER_NODE=$((GPUS < 8 ? GPUS : 8))
fi
# Several arguments, as the user wrote them.
read -ra EXTRA <<<"${SRUN_ARGS:-}"

PYTHONPATH=$(dirname "$TOOLS")${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

exec srun --partition="$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${EXTRA[@]+"${EXTRA[@]}"} \
    "${PYTHON:-python}" -u "$TOOL" "$@" --launcher slurm
