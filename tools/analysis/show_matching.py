"""Draw which anchors FreeAnchor matched with each object, at several epochs.

python tools/analysis/show_matching.py CONFIG epoch_1.pth epoch_9.pth --images 7 a.jpg
python tools/analysis/show_matching.py CONFIG work_dirs/run/epoch_*.pth

Images are those of the config's validation set, because bags are made around
annotated objects. For each object there is a PNG: a row for each checkpoint, with the
anchors of its bag coloured by P_cls, P_loc and their share in Mean-max, the predicted
boxes that claim it, and what a rule of overlap would have chosen. matching.html shows
the same with the numbers of each anchor, in one file that needs no network.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, with FreeAnchorLoss')
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT', help='a row')
    parser.add_argument(
        '--images',
        nargs='+',
        default=[],
        metavar='NAME|ID',
        help='file names or ids (the first two that have objects)',
    )
    parser.add_argument(
        '--max-objects', type=int, default=4, help='of an image, the largest (4)'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('matching'), help='folder (matching)'
    )
    parser.add_argument('--device', help='cpu, cuda (the GPU if there is one)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: model.loss.bag_size=25',
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    from freeanchor.engine import ConfigError, load_config
    from freeanchor.engine.command_line import checked_checkpoint
    from freeanchor.engine.durable import write_text_atomically
    from freeanchor.inference import load_detector
    from freeanchor.losses import FreeAnchorLoss
    from freeanchor.registry import DATASETS
    from freeanchor.visualization.matching_page import render_page

    moments = moment_names(args.checkpoints)
    cfg = load_config(args.config, args.cfg_options)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    chosen = list(samples(dataset, args.images))
    models: dict[str, Any] = {}
    for name, path in zip(moments, args.checkpoints):
        model = load_detector(checked_checkpoint(path), cfg, args.device).model
        if not isinstance(model.loss, FreeAnchorLoss):
            raise ConfigError(
                f'{args.config}: model.loss is {type(model.loss).__name__}, which has '
                'no bags; name a config with FreeAnchorLoss.'
            )
        models[name] = model
    names = dataset.metainfo.get('classes', ())
    args.out.mkdir(parents=True, exist_ok=True)
    scenes = [draw(sample, models, names, args) for sample in chosen]
    page = args.out / 'matching.html'
    write_text_atomically(page, render_page(scenes))
    print(f'Written to {page}')


def samples(dataset: Any, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """The images that were asked for, or the first two that have objects.

    Raises:
        ConfigError: There is no such image, or it has no objects.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.visualization.matched_objects import has_objects

    if not wanted:
        rows = (dataset[i] for i in range(len(dataset)))
        found = [x for _, x in zip(range(2), filter(has_objects, rows))]
        if not found:
            raise ConfigError(
                'the validation set has no objects: its pipeline needs '
                "dict(type='LoadAnnotations', with_bbox=True)."
            )
        yield from found
        return
    known = names_of_images(dataset)
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f'--images {name}: the validation set has no image of that file name '
                'or id.'
            )
        sample = dataset[known[name]]
        if not has_objects(sample):
            raise ConfigError(f'--images {name}: it has no objects to match.')
        yield sample


def names_of_images(dataset: Any) -> dict[str, int]:
    """Rows by what an image may be called: its id, path, file name and stem."""
    known: dict[str, int] = {}
    for row in range(len(dataset)):
        info = dataset.get_data_info(row)
        path = Path(info['img_path'])
        for name in (info.get('img_id'), path, path.name, path.stem):
            known.setdefault(str(name), row)
    return known


def moment_names(checkpoints: Sequence[str]) -> list[str]:
    """``epoch 3`` for ``epoch_3.pth``; with its folders where others have the name.

    Raises:
        ConfigError: A checkpoint is named twice.
    """
    from freeanchor.engine import ConfigError

    paths = [Path(os.path.abspath(x)) for x in checkpoints]
    for path, named in zip(paths, checkpoints):
        if paths.count(path) > 1:
            raise ConfigError(f'{named} is named twice: name each checkpoint once.')
    names = [moment_name(path, 0) for path in paths]
    for folders in range(1, max(len(path.parts) for path in paths)):
        names = [
            name if names.count(name) == 1 else moment_name(path, folders)
            for name, path in zip(names, paths)
        ]
    # At last 'epoch_3.pth' and 'epoch 3.pth' of one folder are left.
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, paths)
    ]


def moment_name(path: Path, folders: int) -> str:
    """A checkpoint's name with so many of the folders that it lies in."""
    above = path.parts[:-1][len(path.parts) - 1 - folders :]
    return ' '.join([*above, path.stem.replace('_', ' ')])


def draw(
    sample: dict[str, Any],
    models: dict[str, Any],
    names: Sequence[str],
    args: argparse.Namespace,
) -> Any:
    """Write a PNG for each object, and return what the page shows of them."""
    from freeanchor.visualization.matched_objects import (
        Moment,
        largest_first,
        picture_name,
        view_matching,
    )
    from freeanchor.visualization.matching import save_matching
    from freeanchor.visualization.matching_page import Scene
    from freeanchor.visualization.originals import original_of

    image = original_of(sample['data_samples'])
    views = {name: view_matching(model, sample) for name, model in models.items()}
    objects = []
    for row in largest_first(next(iter(views.values())), args.max_objects):
        moments = [Moment(name, found[row]) for name, found in views.items()]
        label = moments[0].view.label
        text = str(names[label]) if label < len(names) else str(label)
        path = args.out / f'{picture_name(sample, row)}.png'
        save_matching(path, image, moments, text)
        print(f'{path}: {text}, {told(moments)}')
        objects.append((text, moments))
    return Scene(Path(sample['data_samples'].img_path).name, image, objects)


def told(moments: Sequence[Any]) -> str:
    """How likely the object is found, at each moment."""
    return ', '.join(f'{x.name}: Mean-max {x.view.mean_max:.3f}' for x in moments)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
