"""One run, one folder: a file that says whose a work folder is."""

import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .exit_codes import USER_ERROR
from .naming import ConfigError

NAME = 'run.lock'
HEARTBEAT = 30.0  # seconds between two signs of life
STALE = 300.0  # seconds without one after which a run elsewhere is taken for dead


@dataclass(frozen=True)
class Owner:
    """The process that a work folder belongs to.

    Attributes:
        host: Name of its machine.
        system: What process numbers can be compared with ours: the start of the
            machine and its name space of processes.
        pid: Its number.
        started: When it started, in ticks since the machine did; tells it from
            a later process of the same number. 0 where the system does not say.
        since: When it took the folder, for people.
        command: How it was started.
        job: Slurm's number of its job, or empty.
        restart: How often Slurm had started this job again.
    """

    host: str
    system: str
    pid: int
    started: int
    since: str
    command: str
    job: str
    restart: int

    @classmethod
    def here(cls) -> 'Owner':
        """This process."""
        return cls(
            host=socket.gethostname(),
            system=_system(),
            pid=os.getpid(),
            started=start_of(os.getpid()) or 0,
            since=time.strftime('%Y-%m-%d %H:%M:%S'),
            command=' '.join(sys.argv),
            job=os.environ.get('SLURM_JOB_ID', ''),
            restart=int(os.environ.get('SLURM_RESTART_COUNT') or 0),
        )

    def __str__(self) -> str:
        return f'process {self.pid} on {self.host}, since {self.since} ({self.command})'


class RunLock:
    """Holds a work folder as long as its ``with`` block runs.

    Killed, a process leaves its lock behind. It is taken over at once where the
    process is seen to be gone, by the same job of Slurm when it is started
    again, and otherwise after 5 minutes without a sign of life.

    Args:
        work_dir: The folder; is made if need be.

    Raises:
        ConfigError: From ``with``: another run has the folder.
    """

    def __init__(self, work_dir: str | Path) -> None:
        self.path = Path(work_dir) / NAME
        self.owner = Owner.here()
        self._ended = threading.Event()

    def __enter__(self) -> 'RunLock':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Taking over a stale one can be lost to another process that does too.
        for _ in range(3):
            try:
                if self._create():
                    threading.Thread(target=self._live, daemon=True).start()
                    return self
            except BaseException:  # a signal, while the file was made
                self._release()
                raise
            self._take_over()
        raise self._refusal(read_owner(self.path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    def _release(self) -> None:
        self._ended.set()
        if read_owner(self.path) == self.owner:
            self.path.unlink(missing_ok=True)

    def _create(self) -> bool:
        """Make the file, complete, unless there is one."""
        text = json.dumps(asdict(self.owner), indent=1)
        draft = self.path.with_name(f'.{NAME}.{self.owner.host}.{self.owner.pid}')
        draft.write_text(text)
        try:
            os.link(draft, self.path)  # atomic on network file systems too
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return self._create_exclusively(text)
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _create_exclusively(self, text: str) -> bool:
        try:
            with self.path.open('x') as file:
                file.write(text)
        except FileExistsError:
            return False
        return True

    def _take_over(self) -> None:
        """Remove a stale lock.

        Raises:
            ConfigError: It is not stale.
        """
        owner = read_owner(self.path)
        silent = _silence(self.path)
        if silent is None:
            return  # it has just been given up
        if not self._is_gone(owner, silent):
            raise self._refusal(owner)
        taken = self.path.with_name(f'.{NAME}.stale.{self.owner.pid}')
        try:
            self.path.rename(taken)
        except FileNotFoundError:
            return
        if read_owner(taken) != owner and not self.path.exists():
            taken.rename(self.path)  # another process has been quicker
            return
        taken.unlink(missing_ok=True)
        print(f'Taking over {self.path} of {owner}, which is gone.', flush=True)

    def _is_gone(self, owner: Owner | None, silent: float) -> bool:
        if owner is None:  # empty or damaged: nobody is writing it any more
            return silent > HEARTBEAT
        if owner.system and owner.system == self.owner.system:
            started = start_of(owner.pid)
            return started is None or owner.started not in (0, started)
        if owner.host == self.owner.host and _boot(owner) != _boot(self.owner):
            return True  # the machine was started again since
        if owner.job and owner.job == self.owner.job:
            # A job that was put back into the queue has ended before. Another
            # step of the same job may live on another of its machines.
            return self.owner.restart > owner.restart
        return silent > STALE

    def _refusal(self, owner: Owner | None) -> ConfigError:
        return ConfigError(
            f'{self.path.parent} is in use by {owner or "a run that has just begun"}. '
            f'Wait for it, end it, or take another --work-dir. If it is surely dead, '
            f'delete {self.path}.'
        )

    def _live(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            owner = read_owner(self.path)
            if owner is not None and owner != self.owner:
                # This process was stopped for so long that it was taken for dead.
                text = f'error: {self.path} now belongs to {owner}; ending at once.\n'
                os.write(2, text.encode())
                os._exit(USER_ERROR)
            try:
                os.utime(self.path)
            except OSError:  # a disk that is away for a while
                continue


def read_owner(path: str | Path) -> Owner | None:
    """Who a lock names; None where it cannot be read."""
    try:
        values: Any = json.loads(Path(path).read_text())
        return Owner(**values)
    except (OSError, ValueError, TypeError):
        return None


def start_of(pid: int) -> int | None:
    """When a process of this machine started, in ticks; None if it has ended.

    Where the system has no ``/proc``, 0 for a process that there is.
    """
    try:
        text = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None if Path('/proc/self/stat').exists() else _alive(pid)
    # The name, in brackets, may hold anything.
    fields = text.rpartition(')')[2].split()
    return None if fields[0] in 'ZX' else int(fields[19])


def _alive(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it belongs to somebody else
        pass
    return 0


def _system() -> str:
    try:
        boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
        return f'{boot} {os.readlink("/proc/self/ns/pid")}'
    except OSError:
        return socket.gethostname()


def _boot(owner: Owner) -> str:
    """Which start of its machine an owner belongs to, where that is known."""
    return owner.system.partition(' ')[0] if owner.system else ''


def _silence(path: Path) -> float | None:
    """Seconds since the last sign of life; None if the file is gone."""
    try:
        # By the clock of the disk, which can differ from ours.
        probe = path.with_name(f'.{NAME}.clock.{os.getpid()}')
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return None
