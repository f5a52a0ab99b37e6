"""The first and the last screen of a run: what happens, what came of it, and where."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

from .batch import StepBatch

_PICTURES = ('*.jpg', '*.png')
_COLUMNS = 6  # of the results' table


@HOOKS.register_module()
class SummaryHook(Hook):
    """Print a summary before a run, a table of results and the places after it."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._rows: list[tuple[str, dict[str, float]]] = []
        self._training = False

    def before_train(self, runner: Runner) -> None:
        self._training = True
        lines = [
            ('config', runner.cfg.filename or '-'),
            ('device', device_line(runner.world_size)),
            ('training', data_line(runner.train_dataloader.dataset)),
        ]
        if runner.val_loop is not None:
            lines.append(('validation', data_line(runner.val_dataloader.dataset)))
        lines += schedule_lines(runner)
        lines.append(('work dir', runner.work_dir))
        runner.logger.info(block('Training', lines))

    def before_test(self, runner: Runner) -> None:
        lines = [
            ('config', runner.cfg.filename or '-'),
            ('checkpoint', str(runner.cfg.get('load_from'))),
            ('device', device_line(runner.world_size)),
            ('test', data_line(runner.test_dataloader.dataset)),
            ('work dir', runner.work_dir),
        ]
        runner.logger.info(block('Testing', lines))

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        title = progress(runner) if self._training else 'validation'
        self._rows.append((title, metrics or {}))

    def after_test_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        self._rows.append(('test', metrics or {}))

    def after_train(self, runner: Runner) -> None:
        self._report(runner)

    def after_test(self, runner: Runner) -> None:
        self._report(runner)

    def _report(self, runner: Runner) -> None:
        if any(metrics for _, metrics in self._rows):
            runner.logger.info('\n' + '\n'.join(results_table(self._rows)))
        runner.logger.info(block(f'Written to {runner.work_dir}', places(runner)))
        self._rows = []


def block(title: str, lines: Iterable[tuple[str, str]]) -> str:
    """A title with a column of names and one of values below it."""
    return '\n'.join(['', title, *(f'  {name:<12}{value}' for name, value in lines)])


def device_line(processes: int) -> str:
    if get_device() == 'cuda':
        name = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f'{processes} x {name}, {memory:.0f} GiB'
    threads = torch.get_num_threads()
    return f'{get_device()}, {processes} x {threads} threads'


def data_line(dataset: torch.utils.data.Dataset) -> str:
    classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
    names = ', '.join(classes[:8]) + (', ...' if len(classes) > 8 else '')
    number = f'{len(classes)} class' + ('' if len(classes) == 1 else 'es')
    return f'{len(dataset)} images, {number}: {names}'  # type: ignore[arg-type]


def schedule_lines(runner: Runner) -> list[tuple[str, str]]:
    """Batch, learning rate and length of the training that is about to start."""
    batch = StepBatch.of(runner.cfg, runner.world_size)
    optimizer = runner.optim_wrapper.optimizer
    scaled = bool((runner.auto_scale_lr or {}).get('enable'))
    start = f', resumed after {progress(runner)}' if runner.iter else ''
    return [
        ('batch', str(batch)),
        ('optimizer', type(optimizer).__name__),
        *rate_lines(optimizer.defaults['lr'], batch, scaled),
        ('length', f'{_length(runner)}{start}'),
    ]


def rate_lines(rate: float, batch: StepBatch, scaled: bool) -> list[tuple[str, str]]:
    """The learning rate, and whether it suits the images of a step."""
    linear = f'{rate * batch.factor:g}'
    if batch.factor == 1:
        return [('lr', f'{rate:g}')]
    if scaled:
        how = f'{rate:g} for {batch.base} images a step, scaled to {batch.total}'
        return [('lr', f'{linear} ({how})')]
    return [
        ('lr', f'{rate:g}, meant for {batch.base} images a step, not {batch.total}:'),
        ('', f'linear scaling would give {linear}, --auto-scale-lr does that'),
    ]


def _length(runner: Runner) -> str:
    if _has_epochs(runner):
        steps = len(runner.train_dataloader)
        epochs = 'epoch' if runner.max_epochs == 1 else 'epochs'
        return f'{runner.max_epochs} {epochs} of {steps} iterations'
    return f'{runner.max_iters} iterations'


def progress(runner: Runner) -> str:
    """How far training is, in epochs, or in iterations where there are none."""
    if _has_epochs(runner):
        return f'epoch {runner.epoch}'
    return f'iteration {runner.iter}'


def _has_epochs(runner: Runner) -> bool:
    return hasattr(runner.train_loop, 'run_epoch')


def results_table(rows: Sequence[tuple[str, dict[str, float]]]) -> list[str]:
    """One line per evaluation, the best of the first column marked."""
    last = [metrics for _, metrics in rows if metrics][-1]
    names = [x for x in last if 'mAP' in x] or list(last)
    names = names[:_COLUMNS]
    heads = [x.rsplit('/', 1)[-1] for x in names]
    best = max(row.get(names[0], -1) for _, row in rows)
    lines = [f'{"Results":<16}' + ''.join(f'{x:>12}' for x in heads)]
    for title, row in rows:
        values = ''.join(f'{row.get(x, float("nan")):>12.4f}' for x in names)
        mark = '  best' if len(rows) > 1 and row.get(names[0]) == best else ''
        lines.append(f'  {title:<14}{values}{mark}')
    return lines


def places(runner: Runner) -> list[tuple[str, str]]:
    """What the run has written, and in which files of the work folder."""
    work, log = Path(runner.work_dir), Path(runner.log_dir)
    pictures = {x.parent for kind in _PICTURES for x in log.rglob(kind)}
    found = [
        ('config', work.glob(Path(runner.cfg.filename or '').name or '*.py')),
        ('log', log.glob('*.log')),
        ('curves', log.glob('vis_data/scalars.json')),
        ('checkpoints', work.glob('*.pth')),
        ('pictures', pictures),
    ]
    lines = []
    for name, paths in found:
        for i, path in enumerate(sorted(paths, key=_age)):
            lines.append(('' if i else name, str(path.relative_to(work))))
    return lines


def _age(path: Path) -> float:
    return path.stat().st_mtime
