"""Turn an MMDetection config (2.x or 3.x) of this family into one of ours.

python tools/convert_config.py mmdet::free_anchor/freeanchor_r50_fpn_1x_coco.py mine.py
python tools/convert_config.py retinanet_r50_fpn_1x_coco.py mine.py

FreeAnchor, RetinaNet, ATSS and PAA on a ResNet or ResNeXt with an FPN. The source is a
program and is run, as MMEngine runs configs. The result is one file without bases. What
was left out is printed; where the result would be another detector, nothing is written
and the exit code is 2.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

RUNTIME = Path(__file__).parents[1] / 'configs/_base_/runtime/default.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Convert a config of MMDetection.')
    parser.add_argument('source', help='its config: a file, or mmdet::FOLDER/FILE')
    parser.add_argument('out', help='the file to write, which must not exist')
    return parser.parse_args()


def convert_file(source: str, out: str) -> list[str]:
    """Convert ``source`` to ``out``; what was left out, a line each.

    Raises:
        ConfigError: ``source`` cannot be read or cannot be converted, or ``out``
            cannot be written.
    """
    from mmengine.config import Config

    from freeanchor.engine import ConfigError
    from freeanchor.engine.config_conversion import config_text, convert_config

    path = Path(out)
    if path.exists() or path.suffix != '.py' or not path.parent.is_dir():
        raise ConfigError(f'{out}: give a new .py file in a folder that exists.')
    runtime = Config.fromfile(RUNTIME).to_dict()
    ours, report = convert_config(read_source(source), runtime)
    if report.blocks:
        raise ConfigError(f'{source} cannot be ours: {"; ".join(report.blocks)}')
    text = config_text(f'Converted from {Path(source).name} of MMDetection.', ours)
    check(text, path.name)
    path.write_text(text, encoding='utf-8')
    return [*(f'left out or other: {x}' for x in report.notes), f'written: {path}']


def read_source(source: str) -> dict[str, Any]:
    """The values of a config with those of its bases.

    Raises:
        ConfigError: It cannot be read, or is one that imports its bases.
    """
    from mmengine.config import Config

    from freeanchor.engine import ConfigError

    try:
        if '::' in source:
            scope, name = source.split('::')
            path = str(Config._get_cfg_path(f'{scope}::{name}', '')[0])
        else:
            path = source
        cfg = Config.fromfile(path, import_custom_modules=False).to_dict()
    except Exception as error:  # it is a program, and may fail in any way
        reason = ' '.join(str(error).split())[:300]
        raise ConfigError(f'{source}: {type(error).__name__}: {reason}') from error
    if not isinstance(cfg.get('model'), dict):
        raise ConfigError(f'{source} has no model.')
    return cfg


def check(text: str, name: str) -> None:
    """Read ``text`` as a config of ours and build its model.

    Raises:
        ConfigError: That does not work.
    """
    from freeanchor.engine import ConfigError, load_config
    from freeanchor.engine.conversion import build_untrained

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding='utf-8')
        model = load_config(path).model.to_dict()
    try:
        build_untrained(model)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'the model cannot be built: {error}') from error


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: print('\n'.join(convert_file(args.source, args.out))))


if __name__ == '__main__':
    sys.exit(main())
