"""Run one suite in a process of its own: what ``benchmarks.run`` starts.

    python -m benchmarks.suite NAME cpu|cuda OUT.json [--quick]

A suite is a module of this folder with ``measure(device, quick)``; see
``README.md`` for what it returns.
"""

import argparse
import importlib
import json
from pathlib import Path

from benchmarks.machine import describe

_KEYS = ('title', 'reach', 'columns', 'rows', 'notes', 'raw')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name')
    parser.add_argument('device', choices=['cpu', 'cuda'])
    parser.add_argument('out', type=Path)
    parser.add_argument('--quick', action='store_true')
    args = parser.parse_args()

    # Before the measurement: without the device there would be none.
    machine = describe(args.device)
    module = importlib.import_module(f'benchmarks.{args.name}')
    report = module.measure(args.device, args.quick)
    missing = [key for key in _KEYS if key not in report]
    if missing:
        raise SystemExit(f'benchmarks/{args.name}.py: measure() gives no {missing}')
    args.out.write_text(json.dumps({**report, 'machine': machine}))


if __name__ == '__main__':
    main()
