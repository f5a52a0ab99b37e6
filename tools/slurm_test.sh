#!/usr/bin/env bash
# Test as a job of Slurm.
#
#     GPUS=8 bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
#
# From the environment: GPUS (8), GPUS_PER_NODE (8 at most), CPUS_PER_TASK (5), SRUN_ARGS.

set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: [GPUS=... GPUS_PER_NODE=... CPUS_PER_TASK=... SRUN_ARGS=...] $0 PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
shift 2

exec bash "$(dirname "${BASH_SOURCE[0]}")/srun.sh" "$PARTITION" "$JOB_NAME" test.py "$@"
