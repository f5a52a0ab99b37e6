#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: run a tool as a job of Slurm.
#
#     bash tools/srun.sh PARTITION JOB_NAME TOOL.py [arguments of the tool]
#
# Ends with the tool's exit code. With REQUEUE=1 in a batch job, 75 (stopped on request,
# state saved) puts the job back into the queue.

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

# A job of its own is told before its time is over. In a batch job sbatch says so.
if [ "${TOOL##*/}" = train.py ] && [ -z "${SLURM_JOB_ID:-}" ]; then
    EXTRA=(--signal="USR1@${STOP_SECONDS:-120}" ${EXTRA[@]+"${EXTRA[@]}"})
fi

PYTHONPATH=$(dirname "$TOOLS")${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

# YAPF, which MMEngine imports, writes its grammar to the user's cache when it is first
# imported. Of processes that start together one would read half of it. (This machine
# may lack what the job's machines have.)
"${PYTHON:-python}" -c 'import yapf' 2>/dev/null || true

COMMAND=(srun --partition="$PARTITION"
    --job-name="$JOB_NAME"
    --gres=gpu:"$GPUS_PER_NODE"
    --ntasks="$GPUS"
    --ntasks-per-node="$GPUS_PER_NODE"
    --cpus-per-task="${CPUS_PER_TASK:-5}"
    --kill-on-bad-exit=1
    ${EXTRA[@]+"${EXTRA[@]}"}
    "${PYTHON:-python}" -u "$TOOL" "$@" --launcher slurm)
if [ "${REQUEUE:-0}" = 0 ]; then
    exec "${COMMAND[@]}"
fi
if [ -z "${SLURM_JOB_ID:-}" ]; then
    echo "REQUEUE=1 needs a batch job: start this script by sbatch." >&2
    exit 2
fi

# Process 0, which runs on this machine, leaves its exit code here: srun's is that of
# a process which it has killed, if one ended a moment before the others.
FREEANCHOR_EXIT_CODES=$(mktemp -d)
export FREEANCHOR_EXIT_CODES
trap 'rm -rf "$FREEANCHOR_EXIT_CODES"' EXIT
CODE=0
"${COMMAND[@]}" || CODE=$?
if [ "$(cat "$FREEANCHOR_EXIT_CODES/0" 2>/dev/null)" = 75 ]; then
    CODE=75
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$CODE"
