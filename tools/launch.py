"""Run torchrun; say in one line why it ended, and end with the cause's exit code.

python tools/launch.py --nproc_per_node=8 tools/train.py CONFIG --launcher pytorch

torchrun itself ends with 1 whatever happened. See freeanchor/engine/exit_codes.py
for what the codes mean.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

STOPPED = 75
SIGNALS = 'SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2'


def launch(arguments: list[str], folder: Path) -> int:
    """Run torchrun, whose processes leave their exit codes in ``folder``."""
    # YAPF, which MMEngine imports, writes its grammar to the user's cache when it is
    # first imported. Of processes that start together one would read half of it.
    import yapf  # noqa: F401
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, main

    if '--signals_to_handle' in get_args_parser().format_help():
        arguments = [f'--signals_to_handle={SIGNALS}', *arguments]
    try:
        main(arguments)
    except ChildFailedError as error:
        rank, failure = min(error.failures.items(), key=_is_consequence)
        explain(rank, failure)
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as stop:
        codes = [int(path.read_text() or 1) for path in folder.iterdir()]
        return STOPPED if STOPPED in codes else 128 + int(stop.sigval)
    return 0


def _is_consequence(item: tuple[int, Any]) -> tuple[int, int]:
    """Sorts what has failed: the cause comes before what followed from it."""
    rank, failure = item
    if failure.exitcode in (-signal.SIGTERM, 1):  # torchrun's; a connection lost
        return 2, rank
    return (1 if failure.exitcode == STOPPED else 0), rank


def explain(rank: int, failure: Any) -> None:
    """One line about a process whose end does not speak for itself."""
    process = f'process {rank} (pid {failure.pid})'
    if failure.exitcode == 1:
        print(f'error: {process} failed; its error is above.', file=sys.stderr)
    elif failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = ''
        if name == 'SIGKILL':
            hint = '; often because the memory ran out: look at dmesg'
        print(f'error: {process} was ended by {name}{hint}.', file=sys.stderr)


def run(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix='freeanchor_') as folder:
        os.environ['FREEANCHOR_EXIT_CODES'] = folder
        return launch(arguments, Path(folder))


if __name__ == '__main__':
    sys.exit(run(sys.argv[1:]))
