"""Get COCO 2017: print the steps, or with --run take them.

python tools/data/download_coco.py --run

Files that are there are kept, a download that broke off goes on where it ended,
and every archive is checked before it is unpacked. Needs the standard library only.
"""

import argparse
import hashlib
import http.client
import shutil
import sys
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SERVER = 'http://images.cocodataset.org'
ATTEMPTS = 5
CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A zip file of COCO's server, and what we want of it."""

    path: str
    size: int  # bytes, of the zip file and about that of its content
    md5: str
    wanted: tuple[str, ...]  # members, or folders that end in /

    @property
    def name(self) -> str:
        return self.path.rsplit('/', 1)[-1]


ARCHIVES = (
    Archive(
        path='annotations/annotations_trainval2017.zip',
        size=252_907_541,
        md5='f4bbac642086de4f52a3fdda2de5fa2c',
        wanted=(
            'annotations/instances_train2017.json',
            'annotations/instances_val2017.json',
        ),
    ),
    Archive(
        path='zips/val2017.zip',
        size=815_585_330,
        md5='442b8da7639aecaf257c1dceb8ba8c80',
        wanted=('val2017/',),
    ),
    Archive(
        path='zips/train2017.zip',
        size=19_336_861_798,
        md5='cced6f7f71b7629ddf16f17bbcfab6b2',
        wanted=('train2017/',),
    ),
)


class StepError(Exception):
    """A step that failed, with the way out."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Get COCO 2017 into data/coco. Prints the steps unless --run.'
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--run', action='store_true', help='take the steps')
    what.add_argument(
        '--dry-run', action='store_true', help='only print the steps (the default)'
    )
    parser.add_argument(
        '--root', default='data/coco', type=Path, help='target folder (data/coco)'
    )
    parser.add_argument(
        '--keep-zips', action='store_true', help='keep the archives once unpacked'
    )
    parser.add_argument('--server', default=SERVER, help=f'mirror of {SERVER}')
    return parser.parse_args(argv)


def print_steps(args: argparse.Namespace) -> None:
    total = sum(x.size for x in ARCHIVES)
    print(f'COCO 2017, {_gigabytes(total)} to download, into {args.root}:\n')
    for archive in ARCHIVES:
        print(f'  download {args.server}/{archive.path}')
        print(f'           {_gigabytes(archive.size)}, md5 {archive.md5}')
        for member in archive.wanted:
            print(f'  unpack   {args.root / member}')
    print(f'\nTo do this: python tools/data/download_coco.py --run --root {args.root}')


def run(args: argparse.Namespace) -> None:
    """Get what is not there yet."""
    args.root.mkdir(parents=True, exist_ok=True)
    for archive in ARCHIVES:
        done = args.root / f'.{archive.name}.unpacked'
        if done.exists():
            print(f'{archive.name}: unpacked already')
            continue
        path = args.root / archive.name
        if not path.exists():
            fetch(f'{args.server}/{archive.path}', archive, path)
        verify(archive, path)
        unpack(archive, path, args.root)
        done.touch()
        if not args.keep_zips:
            path.unlink()
    print(f'COCO 2017 is in {args.root}')


def fetch(url: str, archive: Archive, path: Path) -> None:
    """Download an archive to ``path``, by way of ``path`` + .part."""
    part = path.with_name(path.name + '.part')
    missing = archive.size - _size(part)
    # The archive, and what is unpacked from it beside it.
    if shutil.disk_usage(path.parent).free < missing + archive.size:
        raise StepError(
            f'{archive.name} needs {_gigabytes(missing + archive.size)} free in '
            f'{path.parent}: make room, or choose another folder with --root'
        )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue_download(url, archive, part)
        except (OSError, http.client.HTTPException) as error:
            problem = f'{type(error).__name__}: {error}'
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                break
        else:
            problem = f'the server ended after {_size(part)} bytes'
        if _size(part) >= archive.size:
            part.rename(path)
            return
        print(f'\n{archive.name}: {problem} (attempt {attempt} of {ATTEMPTS})')
        time.sleep(attempt if attempt < ATTEMPTS else 0)
    raise StepError(
        f'cannot download {url} ({problem}): check the network or the proxy and run '
        f'this again, it goes on where it stopped; or put the file at {path} yourself'
    )


def _continue_download(url: str, archive: Archive, part: Path) -> None:
    start = _size(part)
    if start >= archive.size:
        return
    request = urllib.request.Request(url, headers={'Range': f'bytes={start}-'})
    with urllib.request.urlopen(request, timeout=60) as answer:
        resumes = answer.status == http.client.PARTIAL_CONTENT
        with open(part, 'ab' if resumes else 'wb') as file:
            progress = _Progress(archive, start if resumes else 0)
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                progress.add(len(chunk))


class _Progress:
    """A line that grows to 100 %, every 5 % where the output is a file."""

    def __init__(self, archive: Archive, start: int) -> None:
        self.archive, self.bytes = archive, start
        self.step = 1 if sys.stdout.isatty() else 5
        self.shown = -1

    def add(self, count: int) -> None:
        self.bytes += count
        percent = 100 * self.bytes // self.archive.size // self.step * self.step
        if percent != self.shown:
            self.shown = percent
            end = '\n' if self.step > 1 or percent == 100 else '\r'
            print(f'{self.archive.name}: {percent:3} %', end=end, flush=True)


def verify(archive: Archive, path: Path) -> None:
    print(f'{archive.name}: checking')
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, 'rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != archive.md5:
        raise StepError(
            f'{path} is not the file that was asked for (md5 {digest.hexdigest()}, not '
            f'{archive.md5}): delete it and run this again'
        )


def unpack(archive: Archive, path: Path, root: Path) -> None:
    """Unpack the wanted members below ``root``; those that are there stay."""
    print(f'{archive.name}: unpacking')
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            if member.is_dir() or not _is_wanted(member.filename, archive.wanted):
                continue
            target = inside(root, member.filename)
            if _size(target) == member.file_size:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own until it is whole: it may be interrupted.
            partial = target.with_name(target.name + '.part')
            with file.open(member) as source, open(partial, 'wb') as copy:
                shutil.copyfileobj(source, copy, CHUNK)
            partial.replace(target)


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    return any(name == x or (x.endswith('/') and name.startswith(x)) for x in wanted)


def inside(root: Path, name: str) -> Path:
    """Where a member goes; refuses one that would leave ``root``."""
    target = (root / PurePosixPath(name)).resolve()
    if not target.is_relative_to(root.resolve()):
        raise StepError(
            f"the archive holds '{name}', which lies outside {root}: it is not COCO's, "
            'delete it'
        )
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gigabytes(count: int) -> str:
    return f'{count / 1e9:.1f} GB'


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if not args.run:
        print_steps(args)
        return 0
    try:
        run(args)
    except (StepError, OSError, zipfile.BadZipFile) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
