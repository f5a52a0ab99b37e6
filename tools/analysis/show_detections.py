"""Draw detections against the truth, the worst images first.

    python tools/analysis/show_detections.py CONFIG CHECKPOINT
    python tools/analysis/show_detections.py CONFIG results.pkl --score-thr 0.4

A checkpoint is tested on the config's test set; results.pkl is what tools/test.py
--out has written. At the left of each picture is the ground truth: found, missed, or
found wrongly, which is the fault of a detection in another place or class. At the right
is what was detected: right ones, and those that are wrong in place, in class or in
both, duplicates and background, as TIDE tells them apart. Files are numbered from the
worst: each missed object counts 1, each wrong detection its score. Pictures that an
earlier call left in the folder are removed.
"""

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTE = 'show_detections.json'  # names of the pictures that were drawn
_NUMBERED = re.compile(r'\d{3,}_[^/\\]*\.jpg')
_QUALITY = 90  # of JPEG


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('source', metavar='CHECKPOINT|RESULTS.pkl')
    parser.add_argument('--score-thr', type=float, default=0.3, help='(0.3)')
    parser.add_argument('--count', type=int, default=20, help='images (20)')
    parser.add_argument(
        '--out', type=Path, default=Path('detections'), help='folder (detections)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: test_dataloader.batch_size=8',
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    from nms_recall import annotations
    from PIL import Image
    from reporting.data_sets import build_dataset
    from reporting.evidence import gather

    from freeanchor.engine import load_config
    from freeanchor.engine.dumped_detections import read_detections

    cfg = load_config(args.config, args.cfg_options)
    path = Path(args.source)
    samples = read_detections(path if path.suffix == '.pkl' else test(args))
    meta = build_dataset(cfg.test_dataloader.dataset).metainfo
    evidence = gather(samples, annotations(cfg), meta)
    found = [judged(x, evidence.classes, args.score_thr) for x in evidence.pictures]
    found.sort(key=lambda x: -x.badness)
    shown = {
        f'{number:03d}_{Path(item.path).stem}.jpg': item
        for number, item in enumerate(found[: args.count], start=1)
    }
    make_room(args.out, list(shown))
    for name, item in shown.items():
        path = args.out / name
        Image.fromarray(draw(item)).save(path, quality=_QUALITY, subsampling=0)
        print(f'{path}: {told([item])}')
    print(f'All {len(found)} images: {told(found)}')


def make_room(folder: Path, names: list[str]) -> None:
    """Remove what an earlier call has drawn, and note what this one draws."""
    from freeanchor.engine.durable import write_text_atomically

    folder.mkdir(parents=True, exist_ok=True)
    note = folder / NOTE
    for name in json.loads(note.read_text()) if note.is_file() else ():
        if _NUMBERED.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    write_text_atomically(note, json.dumps(names, indent=1) + '\n')


def test(args: argparse.Namespace) -> Path:
    """Test the checkpoint; gives the file with its detections."""
    from reporting.testing import detections_of

    from freeanchor.engine.command_line import checked_checkpoint

    checkpoint = checked_checkpoint(args.source)
    return detections_of(args.config, checkpoint, args.out / 'test', args.cfg_options)


@dataclass(frozen=True)
class Judged:
    """An image whose objects and detections have verdicts."""

    path: str
    shape: tuple[int, int]
    truth: list[tuple]  # box (xyxy, pixels), verdict and name
    detections: list[tuple]
    badness: float


def judged(picture: Any, classes: tuple[str, ...], score_thr: float) -> Judged:
    """Say of each object and each detection above the threshold what became of it."""
    from freeanchor.evaluation.error_types import Verdict, judge

    scene = picture.scene.above(score_thr)
    verdict = judge(scene)
    truth = []
    for row, (box, label) in enumerate(zip(scene.boxes, scene.labels)):
        truth.append((corners(box), fate(scene, verdict, row), classes[label]))
    detections, wrong = [], 0.0
    for box, label, score, kind in zip(
        scene.found, scene.found_labels, scene.scores, verdict.verdicts
    ):
        what = Verdict(kind).name.lower()
        wrong += 0.0 if what in ('correct', 'ignored') else float(score)
        detections.append((corners(box), what, f'{classes[label]} {score:.2f}'))
    badness = float(verdict.missed.sum()) + wrong
    return Judged(picture.path, picture.shape, truth, detections, badness)


def fate(scene: Any, verdict: Any, row: int) -> str:
    """What became of an object."""
    if scene.crowd[row]:
        return 'crowd'
    if verdict.detected[row]:
        return 'found'
    return 'missed' if verdict.missed[row] else 'found wrongly'


def corners(box: Any) -> tuple[float, ...]:
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height


def draw(item: Judged) -> Any:
    from freeanchor.visualization.originals import read_picture
    from freeanchor.visualization.verdicts import draw_verdicts

    image = read_picture(item.path, item.shape)
    return draw_verdicts(image, item.truth, item.detections)


def told(items: list[Judged]) -> str:
    """How many of each verdict."""
    counts = Counter(what for x in items for _, what, _ in [*x.truth, *x.detections])
    del counts['correct']  # as many as were found
    return ', '.join(f'{n} {what}' for what, n in counts.items()) or 'nothing'


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
