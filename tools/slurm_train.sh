#!/usr/bin/env bash
# Train as a job of Slurm.
#
#     GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [arguments of train.py]
#
# From the environment: GPUS (8), GPUS_PER_NODE (8 at most), CPUS_PER_TASK (5), SRUN_ARGS,
# STOP_SECONDS (120): how long before its time is over a job is told to save and stop.
#
# A job that goes on by itself after its time is over or it was pre-empted:
#
#     REQUEUE=1 GPUS=16 sbatch --requeue --signal=USR1@120 --ntasks=16 \
#         --ntasks-per-node=8 --gres=gpu:8 --wrap \
#         'bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG'

set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: [GPUS=... GPUS_PER_NODE=... CPUS_PER_TASK=... SRUN_ARGS=...] $0 PARTITION JOB_NAME CONFIG [WORK_DIR] [arguments of train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
shift 3
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then # a word that is no option
    set -- --work-dir "$1" "${@:2}"
fi

exec bash "$(dirname "${BASH_SOURCE[0]}")/srun.sh" "$PARTITION" "$JOB_NAME" train.py "$CONFIG" "$@"
