"""Look for every fault of a data set, and name each with its mend.

python tools/data/doctor.py configs/free_anchor_r50_fpn_1x.py
python tools/data/doctor.py --ann boxes.json --images pictures --classes cup tree
python tools/data/doctor.py --ann boxes.json --images pictures --fix mended.json
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA_ERROR = 3  # exit code


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Look for faults in annotations and images. Ends with 0 if there '
        'are none, with 3 if there are errors, with 2 if it was called wrongly.'
    )
    parser.add_argument('config', nargs='?', help='config file, whose sets are checked')
    parser.add_argument('--ann', help='annotation file to check instead')
    parser.add_argument('--images', default='', help='folder of its images')
    parser.add_argument('--classes', nargs='+', help='names, in the order of labels')
    parser.add_argument(
        '--level',
        choices=['full', 'fast'],
        default='full',
        help='full decodes every image; fast takes seconds',
    )
    parser.add_argument('--workers', type=int, help='processes (one for each core)')
    parser.add_argument('--max-pixels', type=int, help='the most an image may have')
    parser.add_argument(
        '--allow-outside', action='store_true', help='images may lie elsewhere'
    )
    parser.add_argument('--strict', action='store_true', help='warnings are errors too')
    parser.add_argument('--json', metavar='FILE', help='write the findings there')
    parser.add_argument(
        '--fix',
        metavar='OUT.json',
        help='write a copy of --ann without its faults, and OUT.dropped.json, which '
        'lists what was dropped or changed',
    )
    args = parser.parse_args()
    if (args.config is None) == (args.ann is None):
        parser.error('name a config, or an annotation file with --ann')
    if args.fix and args.ann is None:
        parser.error('--fix needs one file: name it with --ann')
    refuse_overwriting(parser, args)
    return args


def refuse_overwriting(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> None:
    taken = [args.ann or args.config]
    for option, path in outputs(args):
        if any(same(path, x) for x in taken):
            parser.error(
                f'{path} would be written over: name another file for {option}'
            )
        taken.append(path)


def outputs(args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Each file that is written, after the option that asks for it."""
    if args.fix:
        yield '--fix', args.fix
        yield '--fix', str(list_of(args.fix))
    if args.json:
        yield '--json', args.json


def list_of(fix: str) -> Path:
    """Where it is listed what the mended copy lacks."""
    return Path(fix).with_suffix('.dropped.json')


def same(first: str, second: str) -> bool:
    """Whether two names are of one file, which need not be there."""
    if os.path.realpath(first) == os.path.realpath(second):
        return True
    return (
        os.path.exists(first)
        and os.path.exists(second)
        and os.path.samefile(first, second)
    )


def sources(args: argparse.Namespace) -> list[Any]:
    from freeanchor.datasets.check import Source, sources_of
    from freeanchor.engine import load_config

    if args.config is not None:
        return sources_of(load_config(args.config))
    classes = None if args.classes is None else tuple(args.classes)
    options = {} if args.max_pixels is None else dict(max_pixels=args.max_pixels)
    return [
        Source(
            *(args.ann, args.ann, args.images, classes),
            allow_outside=args.allow_outside,
            **options,
        )
    ]


def examine(args: argparse.Namespace) -> int:
    from freeanchor.datasets.check import check_sources
    from freeanchor.datasets.checks.table import as_table

    found = sources(args)
    if args.fix:
        fix(args, found[0])
        found = [found[0].of_file(args.fix)]
    report = check_sources(found, args.level, args.workers)
    print(as_table(report))
    if args.json:
        write(args.json, dict(level=args.level, **report.as_data()))
    failed = report.errors or (args.strict and report.warnings)
    return DATA_ERROR if failed else 0


def fix(args: argparse.Namespace, source: Any) -> None:
    from freeanchor.datasets.checks.mend import mended

    data, changes = mended(source, args.level, args.workers)
    listed = list_of(args.fix)
    write(listed, changes)  # first: what is dropped must not be lost
    write(args.fix, data)
    print(f'{args.fix}: written; {len(changes)} changes are listed in {listed}')


def write(path: str | Path, data: Any) -> None:
    from freeanchor.engine.durable import write_text_atomically

    # In ASCII: names may hold what UTF-8 cannot.
    write_text_atomically(path, json.dumps(data))


def main() -> int:
    args = parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names are in all alphabets, and some terminals have one.
        sys.stdout.reconfigure(errors='backslashreplace')
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    codes = [0]
    code = run_tool(lambda: codes.append(examine(args)))
    return code or codes[-1]


if __name__ == '__main__':
    sys.exit(main())
