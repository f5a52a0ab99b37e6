"""Damage annotation files and images at random; nothing but a DataError may come.

python tests/faults/fuzz_data.py annotations --count 100000 --seed 0
python tests/faults/fuzz_data.py images --count 100000 --minutes 20

Cases run in forked processes, so that one that kills its process, or hangs, is
counted and named. A case is its seed and number: the same on every machine.
"""

import argparse
import json
import math
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from freeanchor.datasets import CocoDataset, DataError, LoadImageFromFile
from freeanchor.datasets.check import Source, check_sources
from freeanchor.datasets.checks.mend import mended

FORESEEN = (DataError, FileNotFoundError)
TOGETHER = 500  # cases of one process
MOST_MEMORY = 256 << 10  # kB that cases may take, besides what is imported
LONGEST = 10  # seconds that a case may take on a busy machine
# A disk takes longer to replace a file than a case takes to read it.
MEMORY = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
ODD = (
    *(None, True, -1, 0, 1, 2, 1e308, -1e308, 1e-308, 10**30, 0.5, '', '1', 'é', '\0'),
    *('../1.png', '/etc/passwd', [], {}, [[]], [1, 2, 3, 4], [5, 5, 0, 0], 'NaN'),
    *(float('nan'), float('inf'), float('-inf'), [1e308] * 4, ['5'] * 4, '\ud800'),
)
Case = Callable[[np.random.Generator, Path], None]


def annotation_case(rng: np.random.Generator, folder: Path) -> None:
    """One damaged annotation file, read by the data set and looked at by the doctor."""
    path = folder / 'boxes.json'
    path.write_bytes(damaged_json(rng))
    source = Source('train', str(path), str(folder))
    if rng.random() < 0.2:
        check_sources([source], 'fast')
    try:
        if rng.random() < 0.1:
            mended(source, 'fast')
        data = CocoDataset(str(path), data_prefix=dict(img_path=str(folder)))
        for i in range(len(data)):
            data.get_data_info(i)
    except FORESEEN:
        _named('boxes.json')


def image_case(rng: np.random.Generator, folder: Path) -> None:
    """One damaged image file, read as in training."""
    path = folder / 'image'
    path.write_bytes(damaged_bytes(rng, _IMAGES[rng.integers(len(_IMAGES))]))
    try:
        # So small a limit, because a flipped bit can make an image huge but legal.
        load = LoadImageFromFile(max_pixels=4_000_000)
        load.transform(dict(img_path=str(path), width=48, height=36))
    except FORESEEN:
        _named(str(path))


def _named(name: str) -> None:
    """The error that is under way names the file."""
    error = sys.exc_info()[1]
    assert name in str(error), f'no file in: {error}'


def damaged_json(rng: np.random.Generator) -> bytes:
    """A small sound file with one to four values changed, and at times its bytes."""
    data = _sound()
    for _ in range(rng.integers(1, 5)):
        _change(rng, data)
    content = json.dumps(data, ensure_ascii=bool(rng.random() < 0.9))
    encoded = content.encode('utf-8', 'surrogatepass')
    return damaged_bytes(rng, encoded) if rng.random() < 0.4 else encoded


def damaged_bytes(rng: np.random.Generator, content: bytes) -> bytes:
    """Bytes cut, flipped, repeated, zeroed or put in."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(0, max(1, len(damaged))))
        length = int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            del damaged[start:]
        elif kind == 1 and damaged:
            damaged[start % len(damaged)] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            damaged[start : start + length] = bytes(len(damaged[start:][:length]))
        elif kind == 3:
            damaged[start:start] = damaged[start : start + length] * 2
        elif kind == 4:
            damaged[start:start] = rng.bytes(length)
        else:
            del damaged[start : start + length]
    return bytes(damaged)


def _sound() -> dict[str, Any]:
    images = [dict(id=i, file_name=f'{i}.png', width=80, height=60) for i in (1, 2)]
    boxes = [
        dict(id=i, image_id=1 + i % 2, category_id=3, bbox=[5, 5, 9.5, 9], area=85.5)
        for i in range(4)
    ]
    return dict(
        images=images,
        annotations=[{**x, 'iscrowd': 0, 'segmentation': [[1, 2, 3]]} for x in boxes],
        categories=[dict(id=3, name='cup'), dict(id=8, name='tree')],
    )


def _change(rng: np.random.Generator, node: Any) -> None:
    """Replace, remove, add or double one member somewhere below ``node``."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        inner = node[key]
        if not (isinstance(inner, dict | list) and inner and rng.random() < 0.9):
            break
        node = inner
    odd = ODD[rng.integers(len(ODD))]
    kind = rng.integers(4)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, list):
        node.append(node[key])
    elif kind == 2 and isinstance(node, dict):
        node[str(odd)] = odd
    else:
        node[key] = json.loads(json.dumps(odd))


def _encoded(kind: str, *parameters: int) -> bytes:
    rows, columns = np.mgrid[:36, :48]
    picture = np.stack([rows * 5, columns * 4, rows + columns], axis=2).astype(np.uint8)
    return cv2.imencode(f'.{kind}', picture, parameters)[1].tobytes()


_KINDS = ('png', 'jpg', 'png', 'jpg', 'bmp', 'webp', 'gif', 'tiff', 'ppm')
_IMAGES = [_encoded(kind) for kind in _KINDS]
_IMAGES.append(_encoded('jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1))


def fuzz(case: Case, count: int, seed: int, first: int = 0) -> dict[int, str]:
    """Run cases ``first`` to ``first + count``; what went wrong, by number."""
    failures: dict[int, str] = {}
    number = first
    end = first + count
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        while number < end:
            last = min(number + TOGETHER, end)
            number, failure = _run(case, seed, number, last, Path(folder))
            if failure:
                failures[number] = failure
                number += 1
    return failures


def _run(
    case: Case, seed: int, first: int, last: int, folder: Path
) -> tuple[int, str | None]:
    """Run some cases in a child: the number after the last, or that of a failure."""
    shared = mmap.mmap(-1, 4096)  # number of the case under way, then a message
    struct.pack_into('q', shared, 0, first)
    child = os.fork()
    if child == 0:
        _quiet()
        code = 0
        try:
            before = _most_memory()
            for number in range(first, last):
                struct.pack_into('q', shared, 0, number)
                signal.alarm(LONGEST)
                case(np.random.default_rng([seed, number]), folder)
                assert _most_memory() < before + MOST_MEMORY, 'takes much memory'
        except BaseException as error:
            text = f'{type(error).__name__}: {error}'.encode(errors='replace')[:1000]
            shared[8 : 8 + len(text)] = text
            code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    (number,) = struct.unpack_from('q', shared, 0)
    if status == 0:
        return last, None
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return number, 'no end' if name == 'SIGALRM' else f'killed by {name}'
    return number, shared[8:].rstrip(b'\0').decode(errors='replace')


def _most_memory() -> int:
    """The most that this process has had, in kB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _quiet() -> None:
    """Decoders print what they think of each file."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    cv2.setNumThreads(0)
    np.seterr(all='ignore')


CASES: dict[str, Case] = dict(annotations=annotation_case, images=image_case)


def main() -> int:
    parser = argparse.ArgumentParser(description='Damage data files at random.')
    parser.add_argument('what', choices=sorted(CASES))
    parser.add_argument('--count', type=int, default=100_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--first', type=int, default=0, help='number of the first case')
    parser.add_argument('--minutes', type=float, default=math.inf, help='the most')
    args = parser.parse_args()
    begin = time.monotonic()
    failures: dict[int, str] = {}
    done, seconds = 0, 0.0
    while done < args.count and seconds < 60 * args.minutes:
        count = min(TOGETHER, args.count - done)
        failures |= fuzz(CASES[args.what], count, args.seed, args.first + done)
        done += count
        seconds = time.monotonic() - begin
    print(f'{done} {args.what}, seed {args.seed}: {len(failures)} failures')
    print(f'{seconds:.0f} s')
    for text, times in Counter(failures.values()).most_common(20):
        number = next(i for i, x in failures.items() if x == text)
        print(f'{times:6} x {text} (the first is case {number})')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
