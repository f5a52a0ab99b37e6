"""Hours of training that is killed every few minutes, beside a calm run.

    python -m tests.faults.soak FOLDER --hours 2 --log docs/soak.log

The same config is trained twice: in ``FOLDER/calm`` by one process that nobody
disturbs, and in ``FOLDER/killed`` by processes that get SIGKILL after 1 to 3
minutes, at a random moment: in a step, in validation, while saving, while starting.
Each is started again with the same command. At each epoch that both have finished,
all that a checkpoint holds is compared bit for bit: weights, averaged weights,
optimizer, schedules, logs, best score, random generators, place in the data.

The runs have dropout, random resizing and flipping, two workers, gradient
accumulation, averaged weights (EMA), a validation and a best checkpoint.
"""

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

from freeanchor.engine.checkpoint_folder import CheckpointFolder
from freeanchor.engine.durable import PARTIAL
from freeanchor.engine.snapshot import surroundings

from .comparing import differences
from .runs import Run, kill, start_command, state_of, toy_config, train_command

SECONDS = (60, 180)  # between two kills

OVERRIDES: dict[str, Any] = dict(
    train_cfg=dict(max_epochs=100_000, val_interval=20),
    train_dataloader=dict(num_workers=2, persistent_workers=True),
    optim_wrapper=dict(accumulative_counts=3),
    custom_hooks=[dict(type='EMAHook', momentum=0.01)],
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=500),
        dict(type='CosineAnnealingLR', T_max=100_000, by_epoch=True),
    ],
    default_hooks=dict(
        logger=dict(interval=50),
        checkpoint=dict(interval=20, max_keep_ckpts=-1, every_minutes=0.05),
    ),
)


class Soak:
    """Two runs of one config, and what is known of them.

    Args:
        folder: Empty.
        log: File for the lines of the report.
        seed: Of the moments of killing.
    """

    def __init__(self, folder: Path, log: Path, seed: int) -> None:
        self.configs = {}
        for name in ('calm', 'killed'):
            (folder / name).mkdir(parents=True)
            self.configs[name] = toy_config(folder / name, **OVERRIDES)
        self._random = random.Random(seed)
        self._log = log.open('w')
        self._begin = time.monotonic()
        self.kills = self.equal = 0
        self.different: list[str] = []

    def say(self, text: str) -> None:
        elapsed = int(time.monotonic() - self._begin)
        line = f'{elapsed // 3600}:{elapsed // 60 % 60:02}:{elapsed % 60:02}  {text}'
        print(line, file=self._log, flush=True)
        print(line, flush=True)

    def run(self, seconds: float) -> int:
        """Train and kill for so long; 0 if all was equal."""
        end = time.monotonic() + seconds
        calm, killed = self._start('calm'), self._start('killed')
        while time.monotonic() < end:
            wait = self._random.uniform(*SECONDS)
            self._wait(min(wait, max(0, end - time.monotonic())), calm, killed)
            kill(killed)
            self.kills += 1
            self.say(f'kill {self.kills} after {wait:.0f} s{self._saving()}')
            self._compare()
            killed = self._start('killed')
        self._catch_up(calm=calm, killed=killed)
        self._compare()
        self.say(
            f'{self.kills} kills; {self.equal} checkpoints compared, '
            f'{len(self.different)} different'
        )
        return int(bool(self.different) or not self.equal)

    def _start(self, name: str) -> Run:
        config = self.configs[name]
        return start_command(train_command(config, '--resume'), config.parent)

    def _saving(self) -> str:
        half = [x.name for x in self._work('killed').glob(f'.*{PARTIAL}')]
        return f', while writing {half[0]}' if half else ''

    def _wait(self, seconds: float, *runs: Run) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for run in runs:
                if run.poll() is not None:
                    text = run.output.read_text()[-2000:]
                    raise RuntimeError(f'ended by itself ({run.poll()}):\n{text}')
            time.sleep(0.5)

    def _catch_up(self, **runs: Run) -> None:
        """End both, but let the one that is behind reach the other's last epoch."""
        last = {name: max(self._epochs(name), default=0) for name in runs}
        behind = min(last, key=lambda name: last[name])
        for name, run in runs.items():
            if name != behind:
                kill(run)
        while max(self._epochs(behind), default=0) < max(last.values()):
            self._wait(1, runs[behind])
        kill(runs[behind])

    def _compare(self) -> None:
        """Compare the epochs that both have saved, and delete what was equal."""
        calm, killed = self._epochs('calm'), self._epochs('killed')
        common = sorted(set(calm) & set(killed))
        for epoch in common:
            files = calm[epoch], killed[epoch]
            found = differences(*(state_of(x) for x in files))
            self.equal += not found
            if found:
                self.different.append(files[1].name)
                self.say(f'{files[1].name} DIFFERS: {"; ".join(found[:5])}')
            elif epoch != max(killed):  # the killed run may need its last one
                for file in files:
                    file.unlink()
        self.say(
            f'epoch {max(calm, default=0)} calm, {max(killed, default=0)} killed: '
            f'{self.equal} checkpoints equal, {len(self.different)} different'
        )

    def _epochs(self, name: str) -> dict[int, Path]:
        """Files of the intact checkpoints at the ends of epochs."""
        folder = CheckpointFolder(self._work(name))
        found = {}
        for entry in folder.entries():
            if entry.file.startswith('epoch_') and folder.why_damaged(entry) is None:
                found[entry.epoch] = folder.folder / entry.file
        return found

    def _work(self, name: str) -> Path:
        return self.configs[name].parent / 'work'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='is made; about 1 GB')
    parser.add_argument('--hours', type=float, default=2)
    parser.add_argument('--log', type=Path, default=Path('soak.log'))
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    soak = Soak(args.folder, args.log, args.seed)
    for key, value in surroundings().items():
        soak.say(f'{key} {value}')
    return soak.run(args.hours * 3600)


if __name__ == '__main__':
    sys.exit(main())
