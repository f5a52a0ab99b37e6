import os
import subprocess
import sys

import pytest

from freeanchor.engine import ConfigError
from freeanchor.engine.distributed import model_wrapper, prepare_processes

# Two processes as Slurm starts them, each of which adds up the ranks.
PROGRAM = """
import torch
from freeanchor.engine.distributed import prepare_processes, start_without_gpu
prepare_processes('slurm')
start_without_gpu(backend='nccl', timeout=60)
number = torch.tensor(float(torch.distributed.get_rank() + 1))
torch.distributed.all_reduce(number)
print(torch.distributed.get_backend(), number.item())
"""


@pytest.fixture
def environ(monkeypatch):
    for name in list(os.environ):
        if name.startswith(('SLURM_', 'OMPI_', 'MASTER_')) or name in (
            'RANK',
            'WORLD_SIZE',
            'LOCAL_RANK',
        ):
            monkeypatch.delenv(name)
    # What the code sets is taken back after the test.
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    return monkeypatch


def slurm(environ, **changes):
    values = dict(PROCID='3', NTASKS='4', LOCALID='1', NODELIST='alpha,beta')
    for name, value in {**values, **changes}.items():
        environ.setenv(f'SLURM_{name}', value)


def test_slurm_variables_become_those_of_torch(environ):
    slurm(environ, JOB_ID='12345')
    prepare_processes('slurm')
    names = ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT']
    assert [os.environ[x] for x in names] == ['3', '4', '1', 'alpha', '22345']


def test_what_the_user_has_set_is_kept(environ):
    slurm(environ)
    environ.setenv('MASTER_ADDR', 'gamma')
    environ.setenv('MASTER_PORT', '29501')
    prepare_processes('slurm')
    assert os.environ['MASTER_ADDR'] == 'gamma'
    assert os.environ['MASTER_PORT'] == '29501'


def test_a_list_of_nodes_that_cannot_be_read_asks_for_the_address(environ):
    environ.setenv('PATH', '')
    slurm(environ, NODELIST='node[01-04]')
    with pytest.raises(ConfigError, match='set MASTER_ADDR'):
        prepare_processes('slurm')


@pytest.mark.parametrize(
    ('launcher', 'hint'),
    [
        ('pytorch', 'dist_train.sh'),
        ('slurm', 'srun'),
        ('mpi', 'mpirun'),
    ],
)
def test_a_launcher_that_did_not_start_us_is_named(environ, launcher, hint):
    with pytest.raises(ConfigError, match=hint):
        prepare_processes(launcher)


def test_on_a_cpu_the_model_is_wrapped_without_a_device(monkeypatch):
    monkeypatch.setattr('freeanchor.engine.distributed.get_device', lambda: 'cpu')
    assert model_wrapper(None)['device_ids'] is None
    own = model_wrapper(dict(type='Mine', static_graph=True))
    assert own == dict(type='Mine', static_graph=True, device_ids=None)


def test_on_a_gpu_the_wrapper_keeps_its_device_and_shares_its_buckets(monkeypatch):
    monkeypatch.setattr('freeanchor.engine.distributed.get_device', lambda: 'cuda')
    wrapper = model_wrapper(None)
    assert 'device_ids' not in wrapper
    assert wrapper['gradient_as_bucket_view']
    assert model_wrapper(dict(type='Mine')) == dict(type='Mine')


@pytest.mark.slow
def test_two_processes_meet_without_a_gpu(environ):
    slurm(environ, NTASKS='2', NODELIST='localhost', JOB_ID=str(os.getpid()))
    environ.setenv('CUDA_VISIBLE_DEVICES', '')
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', PROGRAM],
            env={**os.environ, 'SLURM_PROCID': str(i), 'SLURM_LOCALID': str(i)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert outputs == ['gloo 3.0\n'] * 2
