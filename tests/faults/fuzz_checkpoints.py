"""Damage checkpoint files at random and read them.

python -m tests.faults.fuzz_checkpoints --count 100000 --seed 0

Every damaged file must be read, or refused by a CheckpointError of one line. A
process that dies, an error of another kind, a file that takes long or much
memory is a finding; its number reproduces it (``--only NUMBER``).
"""

import argparse
import os
import random
import resource
import signal
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from freeanchor.engine import CheckpointError, read_checkpoint

_BATCH = 500  # files that one process reads
_LONGEST = 5.0  # seconds for one file
_LONGEST_BATCH = 300  # seconds, at which a process that hangs is ended
_MOST_MEMORY = 256 << 20  # bytes that reading may add to the process
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)


def seeds(folder: Path) -> list[bytes]:
    """Sound files of each format, with all that a checkpoint may hold."""
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    history = HistoryBuffer([0.5, 0.25], [1, 1], 9)
    checkpoint = dict(
        meta=dict(epoch=3, best=np.float64(0.5), grid=np.arange(6).reshape(2, 3)),
        state_dict=layer.state_dict(),
        optimizer=dict(state={0: dict(step=torch.tensor(1.0))}, betas=(0.9, 0.99)),
        message_hub=dict(loss=history, seen={1, 2}, name='x' * 50),
    )
    paths = [folder / 'zip.pth', folder / 'older.pth', folder / 'a.safetensors']
    torch.save(checkpoint, paths[0])
    torch.save(checkpoint, paths[1], _use_new_zipfile_serialization=False)
    try:
        from safetensors.torch import save_file
    except ImportError:
        del paths[2]
    else:
        save_file(layer.state_dict(), paths[2], dict(epoch='3'))
    return [x.read_bytes() for x in paths]


def damaged(sound: bytes, chance: random.Random) -> bytes:
    """``sound`` with one to four changes."""
    content = bytearray(sound)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        place = chance.randrange(len(content) + 1)
        length = chance.choice([1, 1, 2, 4, 8, 64])
        kind = chance.randrange(6)
        if kind == 0:
            del content[place:]  # cut off
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = chance.randbytes(length)
        elif kind == 3:
            content[place : place + length] = chance.randbytes(length)
        elif kind == 4:
            content[place : place + length] = bytes([chance.choice(_NUMBERS)] * length)
        elif place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        if not content:
            return b''
    return bytes(content)


def damaged_within(sound: bytes, chance: random.Random) -> bytes:
    """A zip archive whose checksums are right and whose pickle is damaged."""
    content = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(sound)) as archive,
        zipfile.ZipFile(content, 'w') as changed,
    ):
        for name in archive.namelist():
            member = archive.read(name)
            if name.endswith('data.pkl'):
                member = damaged(member, chance)
            changed.writestr(name, member)
    return content.getvalue()


def attempt(number: int, seed: int, files: list[bytes], folder: Path) -> str:
    """Read damaged file ``number``; what came of it."""
    chance = random.Random(f'{seed} {number}')
    which = chance.randrange(len(files) + 1)
    path = folder / f'fuzzed{os.getpid()}.{"safetensors" if which == 2 else "pth"}'
    if which == len(files):
        path = path.with_suffix('.pth')
        path.write_bytes(damaged_within(files[0], chance))
    else:
        path.write_bytes(damaged(files[which], chance))
    start = time.monotonic()
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        result = 'refused'
        if '\n' in str(error) or str(path) not in str(error):
            result = f'a message without the file or of several lines: {error}'
    except Exception as error:
        result = f'{type(error).__name__}: {error}'
    else:
        result = 'read'
    if time.monotonic() - start > _LONGEST:
        result = f'it took {time.monotonic() - start:.1f} s'
    return result


def read_batch(numbers: range, seed: int, files: list[bytes], folder: Path) -> None:
    """Read damaged files, in a process of its own; results go to a file."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (folder / 'results').open('w', buffering=1) as results:
        for number in numbers:
            results.write(f'{number} started\n')
            result = ' '.join(attempt(number, seed, files, folder).split())
            results.write(f'{number} {result}\n')
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        results.write(f'0 memory {grown << 10}\n')


def in_process(job: Callable[[], None]) -> int:
    """Run ``job`` in a forked process; its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(_LONGEST_BATCH)
            job()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fuzz(count: int, seed: int, first: int = 0) -> tuple[Counter, list[str]]:
    """Read ``count`` damaged files; how many were read or refused, and findings."""
    tally: Counter[str] = Counter()
    findings = []
    torch.manual_seed(seed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = seeds(folder)
        for start in range(first, first + count, _BATCH):
            numbers = range(start, min(start + _BATCH, first + count))
            code = in_process(partial(read_batch, numbers, seed, files, folder))
            lines = (folder / 'results').read_text().splitlines()
            if code != 0:
                findings.append(f'{lines[-1]}, and the process ended with {code}')
            for number, result in (x.split(' ', 1) for x in lines):
                if result.startswith('memory '):
                    grown = int(result.removeprefix('memory '))
                    tally['memory'] = max(tally['memory'], grown)
                elif result in ('read', 'refused'):
                    tally[result] += 1
                elif result != 'started':
                    findings.append(f'{number}: {result}')
    if tally['memory'] > _MOST_MEMORY:
        findings.append(f'{tally["memory"]} bytes were taken')
    return tally, findings


def main() -> int:
    parser = argparse.ArgumentParser(description='Read damaged checkpoints.')
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, help='number of a finding')
    args = parser.parse_args()
    start = time.monotonic()
    if args.only is not None:
        tally, findings = fuzz(1, args.seed, args.only)
    else:
        tally, findings = fuzz(args.count, args.seed)
    print('\n'.join(findings))
    number = tally['read'] + tally['refused']
    print(
        f'{number} files in {time.monotonic() - start:.0f} s: {tally["read"]} read, '
        f'{tally["refused"]} refused, {len(findings)} findings, '
        f'{tally["memory"] >> 20} MB of memory'
    )
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
