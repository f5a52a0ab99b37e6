"""The command lines, run as a user runs them, on a few tiny images."""

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / 'tools'
CLASSES = ('blue', 'red')
COLOURS = ((255, 0, 0), (0, 0, 255))

RECIPE = """
_base_ = r'{base}'
root = r'{root}/'
scale = (96, 64)
files = dict(
    data_root=root,
    data_prefix=dict(img_path='images'),
    metainfo=dict(classes=('blue', 'red')),
)
load = dict(type='LoadImageFromFile')
resize = dict(type='Resize', scale=scale, keep_ratio=True)
pack = dict(type='PackDetInputs')
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file='train.json',
        pipeline=[load, dict(type='LoadAnnotations', with_bbox=True), resize, pack],
        **files,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(ann_file='val.json', pipeline=[load, resize, pack], **files),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=root + 'val.json')
test_evaluator = val_evaluator
model = dict(
    test_cfg=dict(score_thr=0.0),
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=16),
    bbox_head=dict(
        num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1
    ),
)
train_cfg = dict(max_epochs=1)
param_scheduler = []
default_hooks = dict(logger=dict(interval=2))
"""


def write_split(root: Path, split: str, num_images: int) -> None:
    """Images with two coloured squares each, and their boxes in COCO's format."""
    rng = np.random.default_rng(len(split))
    images, annotations = [], []
    for i in range(1, num_images + 1):
        image = np.full((64, 96, 3), 200, np.uint8)
        for _ in range(2):
            x, y, label = rng.integers(60), rng.integers(30), rng.integers(2)
            cv2.rectangle(image, (x, y), (x + 30, y + 30), COLOURS[label], -1)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=int(label) + 1,
                    bbox=[int(x), int(y), 30, 30],
                    area=900,
                    iscrowd=0,
                )
            )
        cv2.imwrite(str(root / 'images' / f'{split}{i}.png'), image)
        images.append(dict(id=i, file_name=f'{split}{i}.png', width=96, height=64))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / f'{split}.json').write_text(json.dumps(content))


@pytest.fixture(scope='session')
def recipe(tmp_path_factory) -> Path:
    """A config of a tiny detector on a tiny data set."""
    root = tmp_path_factory.mktemp('tiny')
    (root / 'images').mkdir()
    write_split(root, 'train', 8)
    write_split(root, 'val', 3)
    path = root / 'tiny.py'
    base = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'
    path.write_text(RECIPE.format(base=base, root=root))
    return path


def run(*command: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess:
    """Run a command without a GPU, from a folder that is not the repository."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith('SLURM_')}
    variables.update(
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=str(ROOT),
        PYTHON=sys.executable,
        **environ,
    )
    return subprocess.run(
        [str(x) for x in command],
        cwd=cwd,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def tool(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    return run(sys.executable, TOOLS / name, *arguments, cwd=cwd)


def call(monkeypatch, capsys, name: str, *arguments: object) -> tuple[int, str]:
    """A tool's exit code and its message, in this process: quicker than a new one."""
    spec = importlib.util.spec_from_file_location(f'tools_{name}', TOOLS / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    monkeypatch.setenv('LOCAL_RANK', '0')
    return module.main(), capsys.readouterr().err


@pytest.fixture(scope='session')
def trained(recipe) -> tuple[Path, str]:
    """The work folder of a short training, and what it printed."""
    result = tool('train.py', recipe.name, cwd=recipe.parent)
    assert result.returncode == 0, result.stdout
    return recipe.parent / 'work_dirs' / 'tiny', result.stdout


def test_training_leaves_config_checkpoint_and_logs(trained):
    work_dir, _ = trained
    assert (work_dir / 'tiny.py').is_file()
    assert (work_dir / 'epoch_1.pth').is_file()
    assert list(work_dir.glob('*/*.log'))
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert 'positive_bag_loss' in rows[0]
    assert 'coco/bbox_mAP' in rows[-1]


def test_the_first_screen_says_what_is_trained(trained):
    _, output = trained
    assert '8 images, 2 classes: blue, red' in output
    assert '1 process x 2 images = 2 a step' in output
    assert 'meant for 16 images a step, not 2' in output
    assert '--auto-scale-lr' in output


def test_every_interval_is_one_line_with_time_rate_and_losses(trained):
    _, output = trained
    (line,) = [x for x in output.splitlines() if 'Epoch(train) [1][4/4]' in x]
    for word in ('lr:', 'eta:', 'data_time:', 'positive_bag_loss:', 'grad_norm:'):
        assert word in line


def test_the_screen_is_short_and_the_file_complete(trained):
    work_dir, output = trained
    (log,) = work_dir.glob('*/*.log')
    assert 'System environment' in log.read_text()
    assert 'train_dataloader = dict(' in log.read_text()
    assert len(output.splitlines()) < 80


def test_the_last_screen_is_a_table_and_where_things_are(trained):
    _, output = trained
    end = output[output.index('Results') :]
    assert 'bbox_mAP_50' in end
    for name in ('tiny.py', '.log', 'scalars.json', 'epoch_1.pth'):
        assert name in end


def test_nothing_warns(trained):
    _, output = trained
    assert 'warn' not in output.lower(), output
    assert 'deprecat' not in output.lower(), output


def test_the_dumped_config_is_a_config(trained, monkeypatch, capsys):
    work_dir, _ = trained
    code, error = call(monkeypatch, capsys, 'print_config.py', work_dir / 'tiny.py')
    assert (code, error) == (0, '')


def test_a_checkpoint_is_tested_dumped_and_drawn(trained, recipe, tmp_path):
    work_dir, _ = trained
    result = tool(
        'test.py',
        recipe,
        work_dir / 'epoch_1.pth',
        '--out=found.pkl',
        '--show-dir=pictures',
        '--cfg-options',
        'model.test_cfg.score_thr=0.0',
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stdout
    assert 'bbox_mAP' in result.stdout[result.stdout.index('Results') :]
    found = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert len(found) == 3
    assert {'bboxes', 'scores', 'labels'} <= set(found[0]['pred_instances'])
    assert len(list((tmp_path / 'pictures').rglob('*.*'))) == 3


def test_training_goes_on_where_it_stopped(trained, recipe):
    work_dir, _ = trained
    result = tool(
        'train.py',
        recipe,
        '--resume',
        work_dir / 'epoch_1.pth',
        '--work-dir=resumed',
        '--auto-scale-lr',
        '--accept-config-changes',
        '--cfg-options',
        'train_cfg.max_epochs=2',
        cwd=recipe.parent,
    )
    assert result.returncode == 0, result.stdout
    assert 'resumed after epoch 1' in result.stdout
    assert 'Epoch(train) [2]' in result.stdout
    assert 'Epoch(train) [1]' not in result.stdout
    assert (recipe.parent / 'resumed' / 'epoch_2.pth').is_file()


@pytest.mark.slow
def test_two_processes_train_and_test_without_a_gpu(recipe, tmp_path):
    command = ['bash', TOOLS / 'dist_train.sh', recipe, 2]
    result = run(*command, '--work-dir=two', cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert '2 processes x 2 images = 4 a step' in result.stdout
    assert result.stdout.count('Written to') == 1
    assert 'warn' not in result.stdout.lower(), result.stdout

    command = ['bash', TOOLS / 'dist_test.sh', recipe, 'two/epoch_1.pth', 2]
    result = run(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count('Results') == 1


REQUEUE = dict(SLURM_JOB_ID='42', REQUEUE='1', GPUS='1')


def batch_job(srun: str, tmp_path: Path, **environ: str) -> str:
    """What a batch job that was stopped with exit code 75 and its end print."""
    tool = tmp_path / 'tool.sh'  # in place of Python
    tool.write_text(
        '[ "$1" != -c ] || exit 1; echo 75 > "$FREEANCHOR_EXIT_CODES/0"; exit 143\n'
    )
    tool.chmod(0o755)
    scontrol = tmp_path / 'bin' / 'scontrol'
    scontrol.write_text('echo "scontrol $*"\n')
    scontrol.chmod(0o755)
    environ = dict(PATH=srun, PYTHON_OF_JOB=str(tool), ECHO_ONLY='', **environ)
    command = 'PYTHON="$PYTHON_OF_JOB" bash "$0" cpu job c.py; echo "exit code $?"'
    script = TOOLS / 'slurm_train.sh'
    return run('bash', '-c', command, script, cwd=tmp_path, **environ).stdout


def test_a_stopped_job_of_slurm_is_put_back_into_the_queue_if_asked(srun, tmp_path):
    text = batch_job(srun, tmp_path, **REQUEUE)
    assert text.splitlines()[-2:] == ['scontrol requeue 42', 'exit code 75']
    assert '--signal' not in text  # as sbatch has it


def test_without_being_asked_it_is_not(srun, tmp_path):
    codes = dict(FREEANCHOR_EXIT_CODES=str(tmp_path))
    text = batch_job(srun, tmp_path, SLURM_JOB_ID='42', **codes)
    assert 'scontrol' not in text


def test_a_job_that_srun_has_made_cannot_be_put_back(srun, tmp_path):
    text = batch_job(srun, tmp_path, REQUEUE='1', GPUS='1')
    assert 'start this script by sbatch' in text
    assert text.splitlines()[-1] == 'exit code 2'


FAKE_SRUN = """#!/usr/bin/env bash
# Like Slurm's, with the one task on this machine.
echo "srun $*"
while [ "${1#-}" != "$1" ]; do shift; done
export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0 SLURM_NODELIST=localhost
export SLURM_JOB_ID=${SLURM_JOB_ID:-$$}
[ -n "$ECHO_ONLY" ] || exec "$@"
"""


@pytest.fixture
def srun(tmp_path) -> str:
    """A ``PATH`` on which there is a Slurm."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'srun').write_text(FAKE_SRUN)
    (folder / 'srun').chmod(0o755)
    return f'{folder}{os.pathsep}{os.environ["PATH"]}'


def test_slurm_gets_what_the_environment_asks_for(srun, tmp_path):
    result = run(
        *('bash', TOOLS / 'slurm_train.sh', 'gpu', 'my job', 'c.py', 'out', '--amp'),
        cwd=tmp_path,
        PATH=srun,
        ECHO_ONLY='1',
        GPUS='12',
        GPUS_PER_NODE='4',
        CPUS_PER_TASK='3',
        SRUN_ARGS='--time=1:00 --exclusive',
    )
    assert result.returncode == 0
    for argument in (
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:4',
        '--ntasks=12',
        '--ntasks-per-node=4',
        '--cpus-per-task=3',
        '--time=1:00 --exclusive',
        '--signal=USR1@120',
        'train.py c.py --work-dir out --amp --launcher slurm',
    ):
        assert argument in result.stdout


def test_slurm_tests_a_checkpoint(srun, tmp_path):
    command = ('bash', TOOLS / 'slurm_test.sh', 'gpu', 'job', 'c.py', 'm.pth', '--x')
    result = run(*command, cwd=tmp_path, PATH=srun, ECHO_ONLY='1', GPUS='2')
    assert 'test.py c.py m.pth --x --launcher slurm' in result.stdout
    assert '--ntasks-per-node=2' in result.stdout


@pytest.mark.slow
def test_a_job_of_slurm_trains_in_mixed_precision(srun, recipe, tmp_path):
    # bfloat16 is slow on many CPUs: one iteration.
    options = ('--amp', '--cfg-options', 'train_dataloader.num_batch_per_epoch=1')
    command = ('bash', TOOLS / 'slurm_train.sh', 'cpu', 'job', recipe, 'out')
    environ = dict(PATH=srun, ECHO_ONLY='', GPUS='1')
    result = run(*command, *options, cwd=tmp_path, **environ)
    assert result.returncode == 0, result.stdout
    assert 'Bfloat16OptimWrapper' in (tmp_path / 'out' / 'tiny.py').read_text()
    assert (tmp_path / 'out' / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('script', sorted(TOOLS.glob('*.sh')), ids=lambda x: x.name)
def test_scripts_are_sound_bash(script):
    subprocess.run(['bash', '-n', str(script)], check=True)


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_a_script_without_arguments_says_how_to_use_it(script, tmp_path):
    result = run('bash', TOOLS / script, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout.startswith('usage: ')


@pytest.mark.parametrize('name', ['train.py', 'test.py', 'print_config.py'])
def test_help_does_not_wait_for_torch(name, tmp_path):
    code = (
        'import runpy, sys\n'
        f'sys.argv = [{name!r}, "--help"]\n'
        'try:\n'
        f'    runpy.run_path({str(TOOLS / name)!r}, run_name="__main__")\n'
        'finally:\n'
        '    assert "torch" not in sys.modules\n'
    )
    result = run(sys.executable, '-c', code, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert '--cfg-options' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--cfg-options', 'train_dataloder.batch_size=2'], "'train_dataloader'"),
        (['--cfg-options', 'optim_wrapper.optimizer.lrr=1'], "did you mean 'lr'"),
        (['--cfg-options', 'model.loss.type=FreeAnchorLos'], "'FreeAnchorLoss'"),
        (['--cfg-options', 'data_root=/x'], 'train_dataloader.dataset.data_root'),
        (['--resume', 'nowhere.pth'], 'nowhere.pth'),
        (['--launcher', 'pytorch'], 'dist_train.sh'),
        (
            ['--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None'],
            'base_batch_size',
        ),
    ],
    ids=lambda x: x[-1] if isinstance(x, list) else '',
)
def test_what_a_user_gets_wrong_is_one_line(
    arguments, message, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.delenv(name, raising=False)
    config = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'
    code, error = call(monkeypatch, capsys, 'train.py', config, *arguments)
    assert code == 2
    assert error.startswith('error: ')
    assert message in error
    assert error.count('\n') == 1


def test_a_mistyped_config_file_gets_the_nearest(monkeypatch, capsys):
    config = ROOT / 'configs' / 'free_ancor_r50_fpn_1x.py'
    code, error = call(monkeypatch, capsys, 'print_config.py', config)
    assert code == 2
    assert "did you mean 'free_anchor_r50_fpn_1x.py'" in error


def test_a_missing_checkpoint_is_named(monkeypatch, capsys):
    config = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'
    code, error = call(monkeypatch, capsys, 'test.py', config, 'none.pth')
    assert code == 2
    assert 'no checkpoint none.pth' in error


def test_a_value_that_a_class_refuses_is_one_line(
    recipe, monkeypatch, capsys, tmp_path
):
    options = ('--cfg-options', 'model.backbone.depth=17', '--work-dir', tmp_path)
    code, error = call(monkeypatch, capsys, 'train.py', recipe, *options)
    assert code == 2
    assert error.splitlines()[-1].startswith('error: model: backbone.depth')


def test_classes_of_head_and_data_must_agree(recipe, monkeypatch, capsys, tmp_path):
    head = 'model.bbox_head.num_classes=80'
    options = ('--cfg-options', head, '--work-dir', tmp_path)
    code, error = call(monkeypatch, capsys, 'train.py', recipe, *options)
    assert code == 2
    last = error.splitlines()[-1]
    assert last.startswith('error: model.bbox_head has num_classes=80')
    assert '2 classes' in last


@pytest.mark.slow
def test_of_several_processes_one_says_what_is_wrong(recipe, tmp_path):
    options = ('--cfg-options', 'train_cfg.max_epoch=1')
    command = ('bash', TOOLS / 'dist_train.sh', recipe, 2)
    result = run(*command, *options, cwd=tmp_path)
    assert result.returncode != 0
    assert result.stdout.count("did you mean 'max_epochs'") == 1
