"""One run of a comparison: trained, tested and measured, each step once."""

import ctypes
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).parents[1]
NUMBERS = (
    'AP',
    'AP50',
    'AP75',
    'APs',
    'APm',
    'APl',
    'AP slender',
    'AP crowded',
    'NMS recall',
    'step time (s)',
    'memory (MiB)',
)
"""What is known of a finished run; the first nine in percent."""
_KEYS = (
    *(f'coco/bbox_mAP{x}' for x in ('', '_50', '_75', '_s', '_m', '_l')),
    'coco/bbox_mAP_slender',
    'coco/bbox_mAP_crowded',
)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None


@dataclass(frozen=True)
class Run:
    """A config, changed by options, to be trained with a seed in a folder."""

    name: str
    config: str
    options: tuple[str, ...]
    seed: int
    folder: Path
    fingerprint: str  # of the whole config


@dataclass
class Outcome:
    """What came of a run: its numbers, or why there are none."""

    name: str
    seed: int
    numbers: dict[str, float] = field(default_factory=dict)
    failure: str | None = None


class StepError(Exception):
    """A step of a run has ended without success."""


class Workshop:
    """Runs the steps of runs as processes; all of them can be stopped."""

    def __init__(self) -> None:
        self.stopped = False
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.RLock()  # a signal may come while it is held

    def stop(self) -> None:
        """Ask all processes to save and end; let no other begin."""
        self.stopped = True
        with self._lock:
            for process in self._processes:
                process.terminate()

    def perform(self, run: Run) -> Outcome:
        """Do what is left of a run; a failure is an outcome too."""
        outcome = Outcome(run.name, run.seed)
        try:
            write_state(run, read_state(run))
            for name in ('train', 'test', 'nms_recall'):
                self._step(run, name)
            outcome.numbers = numbers_of(run.folder)
        except (StepError, OSError, ValueError, LookupError) as error:
            outcome.failure = str(error) or type(error).__name__
        return outcome

    def _step(self, run: Run, name: str) -> None:
        state = read_state(run)
        if name in state['done']:
            return
        if self.stopped:
            raise StepError('stopped on request')
        code, kilobytes = self._call(command(run, name), run.folder / f'{name}.txt')
        if name == 'train':
            state['peak_kb'] = max(kilobytes, state['peak_kb'])
        if code == 0:
            state['done'].append(name)
        write_state(run, state)
        if code:
            why = 'stopped on request' if self.stopped else last_words(run, name)
            raise StepError(f'{name} ended with exit code {code}: {why}')

    def _call(self, arguments: list[str], log: Path) -> tuple[int, int]:
        """Exit code and largest size in memory, in KiB."""
        with log.open('a') as file:
            process = subprocess.Popen(
                arguments,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
            )
        with self._lock:
            self._processes.add(process)
        if self.stopped:  # since it was last looked
            process.terminate()
        _, status, usage = os.wait4(process.pid, 0)
        with self._lock:
            self._processes.remove(process)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_maxrss


def command(run: Run, step: str) -> list[str]:
    """The command line of a step."""
    folder = run.folder / step
    tool = TOOLS / ('analysis/nms_recall.py' if step == 'nms_recall' else f'{step}.py')
    arguments = [sys.executable, str(tool), run.config]
    options = [*run.options, f'randomness.seed={run.seed}']
    if step == 'train':
        arguments += ['--resume']
    else:
        arguments += [str(last_checkpoint(run.folder / 'train'))]
    if step == 'test':
        options += [f'{place_of_metric(run)}.groups={standard_groups()}']
    if step == 'nms_recall':
        arguments += ['--out', str(run.folder / 'nms_recall.json')]
    return [*arguments, '--work-dir', str(folder), '--cfg-options', *options]


def last_checkpoint(folder: Path) -> Path:
    """The newest checkpoint: the best one would be chosen by what it is tested on."""
    return folder / (folder / 'last_checkpoint').read_text().strip()


def place_of_metric(run: Run) -> str:
    """Where the config has the COCO metric that tests."""
    from freeanchor.engine import ConfigError, load_config

    evaluator = load_config(run.config, run.options).test_evaluator
    if not isinstance(evaluator, list | tuple):
        return 'test_evaluator'
    for place, metric in enumerate(evaluator):
        if metric.type == 'CocoMetric':
            return f'test_evaluator.{place}'
    raise ConfigError(f'{run.config}: test_evaluator has no CocoMetric to compare by.')


def standard_groups() -> dict[str, Any]:
    from freeanchor.evaluation.object_groups import STANDARD_GROUPS

    return STANDARD_GROUPS


def read_state(run: Run) -> dict[str, Any]:
    """What is done of a run.

    Raises:
        ConfigError: The folder holds a run of another config.
    """
    from freeanchor.engine import ConfigError

    run.folder.mkdir(parents=True, exist_ok=True)
    path = run.folder / 'run.json'
    if not path.is_file():
        return dict(fingerprint=run.fingerprint, done=[], peak_kb=0)
    state = json.loads(path.read_text())
    if state['fingerprint'] != run.fingerprint:
        raise ConfigError(
            f'{run.folder} has a run of another config than {run.config} is now: give '
            'another --out, or delete that folder.'
        )
    return state


def write_state(run: Run, state: dict[str, Any]) -> None:
    from freeanchor.engine.durable import write_text_atomically

    write_text_atomically(run.folder / 'run.json', json.dumps(state, indent=1) + '\n')


def numbers_of(folder: Path) -> dict[str, float]:
    """The ``NUMBERS`` of a finished run, from what its steps have written."""
    tests = sorted((folder / 'test').glob('*/*.json'))
    tested = json.loads(tests[-1].read_text())
    recall = json.loads((folder / 'nms_recall.json').read_text())
    lines = [
        json.loads(line)
        for path in (folder / 'train').glob('*/vis_data/scalars.json')
        for line in path.read_text().splitlines()
    ]
    steps = [x for x in lines if 'loss' in x]
    on_gpu = [x['memory'] for x in steps if 'memory' in x]
    resident = json.loads((folder / 'run.json').read_text())['peak_kb'] / 1024
    nan = float('nan')
    fractions = [tested.get(key, nan) for key in _KEYS]
    fractions.append(recall.get('nms_recall/NR', nan))
    values = [
        *(100 * x for x in fractions),
        statistics.median(x['time'] for x in steps),
        max(on_gpu, default=resident),
    ]
    return dict(zip(NUMBERS, values))


def last_words(run: Run, step: str) -> str:
    """The line in which a step said what was wrong."""
    lines = (run.folder / f'{step}.txt').read_text(errors='replace').splitlines()
    told = [x for x in lines if re.match(r'error: |\w*(Error|Exception)\b', x)]
    return (told or lines or ['it said nothing'])[-1].removeprefix('error: ')[:300]


def _end_with_parent() -> None:
    """A comparison that is killed takes its runs with it; they save first."""
    if _LIBC is not None:
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGTERM)
