"""Make a file to publish from a checkpoint: the weights, and what they are.

python tools/checkpoints/publish.py work_dirs/.../epoch_12.pth free_anchor.safetensors
python tools/checkpoints/publish.py work_dirs/.../epoch_12.pth free_anchor.pth

Optimizer, schedules, logs and random states stay behind. The name gets the first
eight digits of the file's SHA-256, which are checked whenever it is loaded.
"""

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

_KEPT = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'seed')
_ENDINGS = ('.safetensors', '.pth')


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
    from freeanchor.engine import ConfigError, read_checkpoint, weights_of
    from freeanchor.engine.durable import write_atomically

    path = Path(out)
    ending = path.suffix or '.safetensors'
    if ending not in _ENDINGS or not path.parent.is_dir():
        raise ConfigError(
            f'{out}: give a {" or ".join(_ENDINGS)} file in a folder that exists.'
        )
    state = read_checkpoint(checkpoint)
    # Each tensor by itself, without what else lay in its memory.
    weights = {name: x.detach().clone() for name, x in weights_of(state).items()}
    meta = {x: state['meta'][x] for x in _KEPT if x in state.get('meta', {})}
    content = serialized(weights, meta, ending)
    digits = hashlib.sha256(content).hexdigest()[:8]
    path = path.with_name(f'{path.stem}-{digits}{ending}')

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(path, write)
    return path


def serialized(weights: dict, meta: dict[str, Any], ending: str) -> bytes:
    """The bytes of a file of that ending."""
    if ending == '.pth':
        import torch

        file = io.BytesIO()
        torch.save(dict(meta=meta, state_dict=weights), file)
        return file.getvalue()
    from freeanchor.engine import ConfigError

    try:
        from safetensors.torch import save
    except ImportError:
        raise ConfigError(
            'safetensors is not installed: pip install safetensors, or name a .pth file'
        ) from None
    weights = {name: x.contiguous() for name, x in weights.items()}
    # Metadata of this format are texts.
    texts = {
        key: x if isinstance(x, str) else json.dumps(x, default=str)
        for key, x in meta.items()
    }
    return save(weights, texts)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: print(publish(args.checkpoint, args.out)))


if __name__ == '__main__':
    sys.exit(main())
