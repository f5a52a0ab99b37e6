"""Look at the images of a data set as training gets them, with their boxes.

    python tools/analysis/browse_dataset.py configs/free_anchor_r18_fpn_shapes.py
    python tools/analysis/browse_dataset.py CONFIG --split val --before --count 40

Each picture shows a sample behind the pipeline: resized, flipped, cut. With --before
the original and its annotations stand at the left. A contact sheet shows all of them.
Images that cannot be read are named and left out; the exit code is 3 then.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

SHEET = 'contact_sheet.jpg'
_QUALITY = 90  # of JPEG


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument(
        '--before', action='store_true', help='show the original image, too'
    )
    parser.add_argument('--count', type=positive, default=20, help='images (20)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of which images, and of the pipeline (0)'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('browse'), help='folder (browse)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: train_dataloader.dataset.data_root=mine/',
    )
    return parser.parse_args()


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is less than 1')
    return value


def run(args: argparse.Namespace) -> None:
    import numpy as np
    from mmengine.runner import set_random_seed
    from PIL import Image

    from freeanchor.datasets.errors import BrokenImageError, DataError
    from freeanchor.engine import load_config
    from freeanchor.visualization.sheets import contact_sheet

    cfg = load_config(args.config, args.cfg_options)
    dataset = build(cfg, args.split)
    set_random_seed(args.seed)
    count = min(args.count, len(dataset))
    rows = sorted(np.random.permutation(len(dataset))[:count].tolist())
    args.out.mkdir(parents=True, exist_ok=True)
    pictures, titles = [], []
    for row in rows:
        try:
            sample = sample_of(dataset, row)
        except BrokenImageError as error:
            print(f'Left out: {error.path} ({error.reason})')
            continue
        path = Path(sample['data_samples'].img_path)
        picture = draw(dataset, row, sample, args.before)
        Image.fromarray(picture).save(
            args.out / f'{row:05d}_{path.stem}.jpg', quality=_QUALITY, subsampling=0
        )
        pictures.append(picture)
        titles.append(f'{row}: {path.name}')
    if pictures:
        sheet = contact_sheet(pictures, titles, side=480 if args.before else 320)
        Image.fromarray(sheet).save(args.out / SHEET, quality=_QUALITY)
        shown = f'{len(pictures)} of {len(dataset)} images'
        print(f'{shown} written to {args.out}, all on {SHEET}')
    if len(pictures) < count:
        raise DataError(
            f'{count - len(pictures)} broken images of {count} were left out: mend or '
            'remove those named above; tools/data/doctor.py looks at all.'
        )


def sample_of(dataset: Any, row: int) -> dict[str, Any]:
    """The sample of an image, and never that of another one in its place.

    Raises:
        BrokenImageError: The image cannot be read.
    """
    from freeanchor.datasets.errors import BrokenImageError

    sample, path = dataset[row], dataset.get_data_info(row)['img_path']
    if sample['data_samples'].img_path != path:
        reasons = dict(sample['data_samples'].get('replaced', ()))
        reason = reasons.get(path, 'another one came in its place')
        raise BrokenImageError(f"the image '{path}' cannot be read", path, reason)
    return sample


def build(cfg: Any, split: str) -> Any:
    """The data set of a split, with its pipeline.

    Raises:
        ConfigError: The config has no such split, or it is empty.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.registry import DATASETS

    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ConfigError(f'--split {split}: the config has no {split}_dataloader.')
    dataset = DATASETS.build(loader['dataset'])
    if not len(dataset):
        raise ConfigError(f'--split {split}: the data set has no images.')
    return dataset


def draw(dataset: Any, row: int, sample: dict[str, Any], before: bool) -> Any:
    """A sample behind the pipeline, at its left as it was before."""
    from freeanchor.visualization.drawing import draw_marks
    from freeanchor.visualization.originals import original_of
    from freeanchor.visualization.sheets import side_by_side

    names = dataset.metainfo.get('classes', ())
    element = sample['data_samples']
    image = sample['inputs'].numpy()[::-1].transpose(1, 2, 0).copy()  # BGR to RGB
    boxes = [
        *marked(element.get('gt_instances'), names),
        *marked(element.get('ignored_instances'), names, 'ignored: '),
    ]
    after = draw_marks(image, boxes)
    if not before:
        return after
    original = original_of(element)
    truth = annotated(dataset.get_data_info(row)['instances'], names)
    told = f'after: {image.shape[1]} x {image.shape[0]}'
    if element.get('flip'):
        told += f', flipped ({element.flip_direction})'
    return side_by_side(
        (draw_marks(original, truth), after),
        (f'before: {original.shape[1]} x {original.shape[0]}', told),
    )


def marked(instances: Any, names: Any, prefix: str = '') -> list[Any]:
    if instances is None:
        return []
    boxes, labels = instances.bboxes.tolist(), instances.labels.tolist()
    return [mark(box, label, names, prefix) for box, label in zip(boxes, labels)]


def annotated(instances: list[dict[str, Any]], names: Any) -> list[Any]:
    return [
        mark(
            x['bbox'],
            x['bbox_label'],
            names,
            'ignored: ' if x.get('ignore_flag') else '',
        )
        for x in instances
    ]


def mark(box: Any, label: int, names: Any, prefix: str) -> Any:
    from freeanchor.visualization.drawing import Mark, class_colour

    text = str(names[label]) if label < len(names) else str(label)
    colour = (150, 150, 150) if prefix else class_colour(label)
    left, top, right, bottom = map(float, box)
    return Mark((left, top, right, bottom), colour, prefix + text)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
