"""A data set of one's own for ``tools/train.py --data``: read, explained, written."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freeanchor.datasets import DataError
from freeanchor.datasets.formats import FoundSplit, read_data
from freeanchor.datasets.formats.writing import coco_text
from freeanchor.datasets.splitting import split_images
from freeanchor.engine.batch import StepBatch
from freeanchor.engine.durable import write_text_atomically
from freeanchor.engine.own_data import (
    OwnSplit,
    changes_for,
    long_warm_up,
    merge_changes,
    relative_base,
    with_options,
)
from freeanchor.engine.own_data_text import as_config, write_config

VAL_SHARE = 0.1  # of the images, where a data set has no split to validate on
SEED = 0
WRITTEN = 'own_data.py'


class OwnData:
    """A data set in any format that is read, and what it makes of a config.

    Args:
        path: Of the data set.
        format: Of it; found out unless given.
        cfg: The config, with ``work_dir``; left as it is.
        options: What ``--cfg-options`` have set in it.
        beside: Other arguments that change what is trained, for a person.

    Raises:
        DataError: The data cannot be used.
        FileNotFoundError: It is not there.
    """

    def __init__(
        self,
        path: str,
        format: str | None,
        cfg: Any,
        options: Sequence[str] = (),
        beside: Sequence[str] = (),
    ) -> None:
        self.found = read_data(path, format)
        self.work_dir = Path(cfg.work_dir)
        self.made_val = 'val' not in self.found.splits
        if 'train' not in self.found.splits:
            names = ', '.join(self.found.splits)
            raise DataError(
                f'{path}: has the splits {names}, and none to train on: call one train'
            )
        if self.made_val:
            _make_val(self.found.splits)
        self.splits = {name: self._place(name) for name in self.found.splits}
        self.changes = changes_for(cfg, self.found.classes, self.splits)
        self.beside = beside
        self.base = relative_base(cfg.filename, self.work_dir)
        self.written = with_options(cfg, options, self.changes)
        self.text = as_config(
            self.written,
            self.found.classes,
            self.base,
            f'{Path(cfg.filename).name} on the data set {path}.',
        )
        self.warm_up = ''

    def change(self, cfg: Any) -> None:
        """Let ``cfg`` train on the data set."""
        merge_changes(cfg, self.changes)
        processes = int(os.environ.get('WORLD_SIZE') or 1)
        number = self.splits['train'].num_images
        self.warm_up = long_warm_up(cfg, number, processes)
        self.rate = _rate(cfg, processes)

    def write(self, resumed: bool) -> None:
        """Write annotations and config into the work folder; say what was decided.

        Args:
            resumed: Whether the run goes on with what was written before.

        Raises:
            DataError: It goes on, and the data set has changed since.
        """
        self.work_dir.mkdir(parents=True, exist_ok=True)
        for name, split in self.found.splits.items():
            if split.ann_file is None:
                self._write(name, coco_text(split), resumed)
        path = self.work_dir / WRITTEN
        path = write_config(path, self.written, self.text, self.base)
        print(self.screen(path), flush=True)

    def screen(self, config: Path) -> str:
        """What was found and decided, for a person."""
        classes = self.found.classes
        lines = [
            ('data', f'{self.found.path}, in the format {self.found.format.upper()}'),
            ('classes', f'{len(classes)}: {_first(classes)}'),
            *((name, self._described(name)) for name in self.splits),
        ]
        if 'test' not in self.splits:
            lines.append(('test', 'the images of val, as there is no split for it'))
        lines.append(('lr', self.rate))
        notes = [*self.found.notes, self.warm_up]
        lines += [('note', x) for x in notes if x]
        said = '\n'.join(f'  {name:<10}{text}' for name, text in lines)
        body = self.text.split('\n\n', 2)[-1]
        shown = '\n'.join(f'    {line}'.rstrip() for line in body.splitlines())
        but = ''
        if self.beside:
            but = f', but for {" ".join(self.beside)}: give that with it'
        return (
            f'\nOwn data\n{said}\n\n  The config {config} says the same{but}; it is '
            f'{self.base} with\n\n{shown}\n'
        )

    def _place(self, name: str) -> OwnSplit:
        split = self.found.splits[name]
        written = self.work_dir / 'annotations' / f'{name}.json'
        return OwnSplit(
            ann_file=_from_here(split.ann_file or str(written)),
            folder=_from_here(split.folder),
            num_images=len(split.content['images']),
        )

    def _described(self, name: str) -> str:
        content = self.found.splits[name].content
        text = (
            f'{len(content["images"])} images, {len(content["annotations"])} boxes, '
            f'in {self.splits[name].folder}'
        )
        if self.made_val and name != 'test':
            share = VAL_SHARE if name == 'val' else 1 - VAL_SHARE
            text += f': {share:.0%} of train, as there was no val (seed {SEED})'
        return text

    def _write(self, name: str, text: str, resumed: bool) -> None:
        path = Path(self.splits[name].ann_file)
        if resumed and path.is_file() and path.read_text('utf-8') != text:
            raise DataError(
                f'{self.found.path}: {name} is not as it was when this run began: '
                'train anew with --fresh, or go on with the annotations as they were: '
                f'give {self.work_dir / WRITTEN} as the config, --work-dir '
                f'{self.work_dir} --resume, and no --data'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)


def beside_config(args: argparse.Namespace) -> list[str]:
    """Arguments of ``tools/train.py`` that no config written here has in it."""
    given = [x for x in ('amp', 'compile') if getattr(args, x)]
    found = [f'--{x}' for x in given]
    return found + (['--warm-start', args.warm_start] if args.warm_start else [])


def _make_val(splits: dict[str, FoundSplit]) -> None:
    """Take some images of ``train`` for ``val``."""
    whole = splits['train']
    shares = dict(train=1 - VAL_SHARE, val=VAL_SHARE)
    test = splits.pop('test', None)
    for name, content in split_images(whole.content, shares, SEED).items():
        splits[name] = FoundSplit(whole.folder, content, whole.source)
    if test is not None:
        splits['test'] = test


def _rate(cfg: Any, processes: int) -> str:
    batch = StepBatch.of(cfg, processes)
    rate = cfg.optim_wrapper.optimizer.lr
    if not (cfg.get('auto_scale_lr') or {}).get('enable') or not batch.base:
        return f'{rate:g}, not scaled: the config has no auto_scale_lr.base_batch_size'
    if batch.factor == 1:
        return f'{rate:g}, for {batch.base} images a step'
    return (
        f'{rate * batch.factor:g}: {rate:g} for {batch.base} images a step, scaled to '
        f'{batch.total}'
    )


def _from_here(path: str) -> str:
    """A path relative to the current folder, if it lies below it."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith('..') else relative


def _first(names: tuple[str, ...], shown: int = 12) -> str:
    return ', '.join(names[:shown]) + ', ...' * (len(names) > shown)
