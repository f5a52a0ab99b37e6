"""Print a config with everything it inherits, after checking its names.

python tools/print_config.py configs/free_anchor_r50_fpn_1x.py
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Print a whole config.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: optim_wrapper.optimizer.lr=0.02',
    )
    return parser.parse_args()


def print_config(args: argparse.Namespace) -> None:
    from freeanchor.engine import load_config

    print(load_config(args.config, args.cfg_options).pretty_text)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: print_config(args))


if __name__ == '__main__':
    sys.exit(main())
