"""Make a file to publish from a checkpoint: the weights, and what they are.

python tools/checkpoints/publish.py work_dirs/.../epoch_12.pth free_anchor.safetensors
python tools/checkpoints/publish.py work_dirs/.../epoch_12.pth free_anchor.pth

Optimizer, schedules, logs and random states stay behind. The name gets the first
eight digits of the file's SHA-256, which are checked whenever it is loaded.
"""

import argparse
import sys
from pathlib import Path

_KEPT = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'seed')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Publish the weights of a checkpoint.')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', help='.safetensors file (no ending: that), or .pth')
    return parser.parse_args()


def publish(checkpoint: str | Path, out: str | Path) -> Path:
    """Write the weights of ``checkpoint`` to ``out``, its digest in the name.

    Args:
        checkpoint: A file that was saved in training.
        out: A file that ends with ``.safetensors``, ``.pth`` or not at all.

    Returns:
        The file that was written.

    Raises:
        ConfigError: ``out`` ends otherwise, or its folder does not exist.
        CheckpointError: ``checkpoint`` is unusable.
    """
    from freeanchor.engine import read_checkpoint, weights_of
    from freeanchor.engine.conversion.settings import settings_of
    from freeanchor.engine.publishing import check_place, write_published

    check_place(out)  # before a large file is read
    state = read_checkpoint(checkpoint)
    meta = {x: state['meta'][x] for x in _KEPT if x in state.get('meta', {})}
    stds = settings_of(state).stds
    if stds is not None:  # also those of a text that stays behind
        meta['box_stds'] = list(stds)
    return write_published(weights_of(state), meta, out)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: print(publish(args.checkpoint, args.out)))


if __name__ == '__main__':
    sys.exit(main())
