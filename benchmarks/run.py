"""Measure everything side by side with MMDetection and write the tables.

    PYTHONPATH=. PEER_ENV/bin/python -m benchmarks.run cpu --peer FOLDER
    PYTHONPATH=. PEER_ENV/bin/python -m benchmarks.run gpu --peer FOLDER --resume

Each suite runs in a process of its own. Its numbers are written as soon as it
is done, to ``benchmarks/results/{cpu,gpu}.json``, with a Markdown table and
plots beside; what other suites wrote before stays. ``README.md`` beside says
what PEER_ENV and FOLDER are; without them ours is measured alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, commit, measured
from benchmarks.peer import VARIABLE
from benchmarks.plots import draw
from benchmarks.tables import markdown

SUITES = (
    'loss', 'step', 'inference', 'evaluation', 'data', 'startup', 'trunks',
    'objectives',
)  # fmt: skip
RESULTS = ROOT / 'benchmarks' / 'results'
QUICK_RESULTS = ROOT / 'work_dirs' / 'benchmarks_quick'
_LAST_LINES = 15


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('where', choices=['cpu', 'gpu'])
    parser.add_argument(
        '--peer', metavar='FOLDER', help=f"the peer's scripts (${VARIABLE})"
    )
    parser.add_argument('--only', nargs='+', metavar='SUITE', choices=SUITES)
    parser.add_argument(
        '--quick', action='store_true', help='a smoke run: not to be reported'
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='leave out suites that this commit has measured already',
    )
    parser.add_argument(
        '--limit', type=float, metavar='SECONDS', help='stop a suite after so long'
    )
    parser.add_argument('--out', type=Path, metavar='FOLDER', help='where to write')
    parser.add_argument(
        '--table',
        action='store_true',
        help='measure nothing: write table and plots from the JSON file anew',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    folder = args.out or (QUICK_RESULTS if args.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{args.where}.json'
    report = json.loads(path.read_text()) if path.exists() else {}
    if args.table:
        write(folder, args.where, report)
        return 0
    chosen = args.only or SUITES
    for name in chosen:
        if args.resume and is_done(report.get(name)):
            print(f'{name}: measured already', flush=True)
            continue
        print(f'{name} ...', end=' ', flush=True)
        report[name] = measure(name, args)
        print(report[name].get('error') or f'{report[name]["seconds"]} s', flush=True)
        write(folder, args.where, report)
    return int(any('error' in report[name] for name in chosen))


def is_done(suite: dict[str, Any] | None) -> bool:
    """Whether the code as it is has measured this suite."""
    if suite is None or 'error' in suite:
        return False
    return suite['commit'] == commit() and not commit().endswith('+')


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """A suite's report, or an ``error`` that says why there is none."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'out.json'
        device = 'cuda' if args.where == 'gpu' else 'cpu'
        command = [sys.executable, '-m', 'benchmarks.suite', name, device, str(out)]
        command += ['--quick'] if args.quick else []
        error = run(command, args.peer, args.limit)
        report = {'error': error} if error else json.loads(out.read_text())
    shown = ' '.join(['python -m benchmarks.run', args.where, '--only', name])
    return {
        **report,
        **measured(),
        'seconds': round(time.monotonic() - began),
        'command': f'{shown} --quick' if args.quick else shown,
        'quick': args.quick,
    }


def run(command: list[str], peer: str | None, limit: float | None) -> str | None:
    """Runs a command to its end; the end of what it printed if it failed."""
    environ = {**os.environ, 'PYTHONPATH': _with_root()}
    if peer is not None:
        environ[VARIABLE] = str(Path(peer).resolve())
    # A session of its own, so that its workers can be ended with it.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f'stopped after the limit of {limit:g} s'
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode == 0:
        return None
    lines = printed.strip().splitlines()[-_LAST_LINES:]
    return '\n'.join([f'exit code {process.returncode}', *lines])


def _with_root() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))


def write(folder: Path, where: str, report: dict[str, dict]) -> None:
    """The numbers, the table and the plots."""
    ordered = {name: report[name] for name in SUITES if name in report}
    path = folder / f'{where}.json'
    # Whole or not at all: the machine may be taken away meanwhile.
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(ordered, indent=1) + '\n')
    partial.replace(path)
    plots = draw(folder, where, ordered)
    (folder / f'{where}.md').write_text(markdown(where, ordered, plots))


if __name__ == '__main__':
    sys.exit(main())
