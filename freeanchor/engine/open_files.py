"""Which files a process has open or waits for; Linux only, elsewhere none."""

import os
import platform
from pathlib import Path

_MOST = 20  # files
_LONGEST = 4096  # bytes of a path
_NO_FILES = ('/dev/', '/proc/', '/memfd:')
_NAMED_BY = {
    # System calls that take a path, and which argument it is.
    'x86_64': {2: 0, 4: 0, 6: 0, 21: 0, 257: 1, 262: 1, 332: 1},
    'aarch64': {48: 1, 56: 1, 79: 1, 291: 1},
}


def describe_process(pid: int) -> list[str]:
    """What a process is waiting for and which files it reads, a line each.

    What the system does not show, as for processes of others, is left out.

    Args:
        pid: A process of this machine.
    """
    folder = Path('/proc') / str(pid)
    lines = []
    waits = _text(folder / 'wchan').strip('0')
    if waits:
        lines.append(f'waits in the kernel: {waits}')
    path = _path_of_call(folder)
    if path:
        lines.append(f'waits for {path}')
    return lines + [f'reads {name}' for name in files_read(pid)[:_MOST]]


def files_read(pid: int) -> list[str]:
    """Files and named pipes that a process has open for reading."""
    folder = Path('/proc') / str(pid) / 'fd'
    found = []
    try:
        handles = sorted(os.listdir(folder), key=int)
    except OSError:
        return []
    for handle in handles:
        try:
            # The file itself is not asked: a dead file system does not answer.
            name = os.readlink(folder / handle)
        except OSError:
            continue
        is_file = name.startswith('/') and not name.startswith(_NO_FILES)
        if is_file and _is_read(folder.parent, handle):
            found.append(name)
    return found


def _is_read(folder: Path, handle: str) -> bool:
    """Whether it is not open for writing only, as logs are."""
    for line in _text(folder / 'fdinfo' / handle).splitlines():
        if line.startswith('flags:'):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_WRONLY
    return True


def _path_of_call(folder: Path) -> str | None:
    """The path that the process waits to open, read from its memory."""
    words = _text(folder / 'syscall').split()
    if not words or not words[0].isdigit():
        return None
    argument = _NAMED_BY.get(platform.machine(), {}).get(int(words[0]))
    if argument is None:
        return None
    try:
        with (folder / 'mem').open('rb', buffering=0) as memory:
            memory.seek(int(words[1 + argument], 16))
            return os.fsdecode(memory.read(_LONGEST).split(b'\0')[0]) or None
    except (OSError, ValueError, OverflowError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ''
