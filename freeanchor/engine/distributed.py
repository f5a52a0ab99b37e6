"""Several processes: what MMEngine leaves out where there is no GPU."""

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from mmengine.device import get_device
from mmengine.dist import is_distributed
from torch import distributed

from .naming import ConfigError

# First port for jobs of Slurm, which all start on the same node otherwise.
_FIRST_PORT = 20000
_NUM_PORTS = 10000


def prepare_processes(launcher: str) -> None:
    """Set what the processes of ``launcher`` need, unless the user has set it.

    Raises:
        ConfigError: The launcher's environment variables are not there.
    """
    if launcher == 'none':
        return
    # MMEngine sets the same numbers, with a warning for each.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    os.environ.setdefault('MKL_NUM_THREADS', '1')
    missing = [x for x in _NEEDED[launcher] if x not in os.environ]
    if missing:
        raise ConfigError(
            f'--launcher {launcher}, but {", ".join(missing)} is not set: start the '
            f'processes with {_STARTED_BY[launcher]}.'
        )
    _ADAPT[launcher]()


def is_first_process(launcher: str) -> bool:
    """Whether this is the process 0 of ``launcher``; before it has joined others."""
    variable = _RANK_OF.get(launcher)
    return variable is None or int(os.environ.get(variable) or 0) == 0


def start_without_gpu(timeout: float | None = None, **_: Any) -> None:
    """Join the other processes over gloo.

    MMEngine's ``init_dist`` selects a CUDA device whatever the backend, so that
    it fails where there is none; its runner leaves a group alone that exists.

    Args:
        timeout: Seconds to wait for the others; 30 minutes unless given.
    """
    if get_device() != 'cpu' or is_distributed():
        return
    limit = None if timeout is None else timedelta(seconds=timeout)
    distributed.init_process_group('gloo', timeout=limit, **meeting_place())


def meeting_place() -> dict[str, Any]:
    """Where processes meet that torchrun has started again.

    Its store still has the addresses that were left before, and who reads one of
    these waits for a process that is gone. So each start has names of its own.

    Returns:
        Arguments for ``init_process_group``; none for a first start.
    """
    start = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
    if start == '0':
        return {}
    store, rank, world_size = next(distributed.rendezvous('env://'))
    store = distributed.PrefixStore(f'start_{start}', store)
    return dict(store=store, rank=rank, world_size=world_size)


def end_if_distributed(code: int) -> None:
    """End with ``code``, at once, if this is one of several connected processes.

    Python must not clear its modules then: a thread of gloo that gives back a
    tensor meanwhile aborts the process, which looks as if it had failed.
    """
    if not is_distributed():
        return
    for worker in multiprocessing.active_children():
        worker.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def model_wrapper(wrapper: dict | None, find_unused: bool = False) -> dict:
    """The config of the model's wrapper; on a CPU it must not name a device.

    Unless ``wrapper`` is given, gradients are views of the buckets in which they
    are exchanged, which spares a copy of all of them.
    """
    chosen = wrapper or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=find_unused,
        gradient_as_bucket_view=True,
    )
    return dict(chosen, device_ids=None) if get_device() == 'cpu' else dict(chosen)


def _slurm() -> None:
    environ = os.environ
    environ.setdefault('RANK', environ['SLURM_PROCID'])
    environ.setdefault('WORLD_SIZE', environ['SLURM_NTASKS'])
    environ.setdefault('LOCAL_RANK', environ['SLURM_LOCALID'])
    if environ.get('SLURM_NTASKS_PER_NODE', '').isdigit():
        environ.setdefault('LOCAL_WORLD_SIZE', environ['SLURM_NTASKS_PER_NODE'])
    environ.setdefault('MASTER_ADDR', _first_host(environ['SLURM_NODELIST']))
    # The same on all nodes, and another for each job.
    job = int(environ.get('SLURM_JOB_ID', '0'))
    environ.setdefault('MASTER_PORT', str(_FIRST_PORT + job % _NUM_PORTS))


def _first_host(nodes: str) -> str:
    """``node[01-04],gpu7`` to ``node01``."""
    if shutil.which('scontrol'):
        command = ['scontrol', 'show', 'hostnames', nodes]
        return subprocess.check_output(command, text=True).split()[0]
    if '[' in nodes:
        raise ConfigError(
            f'scontrol is needed to read SLURM_NODELIST={nodes}: set MASTER_ADDR.'
        )
    return nodes.split(',')[0]


def _mpi() -> None:
    environ = os.environ
    environ.setdefault('RANK', environ['OMPI_COMM_WORLD_RANK'])
    environ.setdefault('WORLD_SIZE', environ['OMPI_COMM_WORLD_SIZE'])
    environ.setdefault('LOCAL_RANK', environ['OMPI_COMM_WORLD_LOCAL_RANK'])
    local_size = environ.get('OMPI_COMM_WORLD_LOCAL_SIZE', '1')
    environ.setdefault('LOCAL_WORLD_SIZE', local_size)
    environ.setdefault('MASTER_PORT', '29500')


def _nothing() -> None:
    """Torchrun sets everything."""


_NEEDED = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NODELIST'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'),
}
_RANK_OF = {
    'pytorch': 'RANK',
    'slurm': 'SLURM_PROCID',
    'mpi': 'OMPI_COMM_WORLD_RANK',
}
_STARTED_BY = {
    'pytorch': 'tools/dist_train.sh or torchrun',
    'slurm': 'tools/slurm_train.sh or srun',
    'mpi': 'mpirun -x MASTER_ADDR=HOST',
}
_ADAPT: dict[str, Callable[[], None]] = {
    'pytorch': _nothing,
    'slurm': _slurm,
    'mpi': _mpi,
}
