"""Find objects in images, videos or before a camera.

python tools/predict.py work_dirs/.../epoch_12.pth photo.jpg folder/ 'more/**/*.png'
python tools/predict.py CHECKPOINT clip.mp4 --out-dir annotated --score-thr 0.5
python tools/predict.py CHECKPOINT images/ --json results.json --csv results.csv
python tools/predict.py CHECKPOINT 0 --max-frames 250  # the first camera
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freeanchor.inference.detecting import AnyDetector
    from freeanchor.inference.jobs import Job
    from freeanchor.inference.tally import Tally
    from freeanchor.inference.writers import Writer

_PICTURES = 'predictions'  # where they go, unless other results are asked for


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Find objects in images, videos or before a camera.',
        epilog='An image that cannot be read is named and left out; the exit code is '
        'then 3.',
    )
    parser.add_argument(
        'checkpoint',
        help='checkpoint file, which carries its config; or an exported .onnx, .pt2',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder, glob, https URL, video, or number of a camera',
    )
    parser.add_argument('--config', help='config file, where the checkpoint has none')
    parser.add_argument(
        '--out-dir',
        help='folder for annotated pictures and videos, another than that of the '
        f'inputs ({_PICTURES}, if neither --json nor --csv is given); pictures of an '
        'earlier run are replaced, beside other files new ones get a number',
    )
    parser.add_argument('--json', metavar='F.json', help='write COCO results')
    parser.add_argument('--csv', metavar='F.csv', help='write a table')
    parser.add_argument(
        '--ids-from',
        metavar='ANN.json',
        help='COCO annotation file whose image and category ids --json uses; without '
        'it, images are numbered from 1',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score of a detection (0.3)'
    )
    parser.add_argument(
        '--batch-size', type=positive, default=1, help='images at once (1)'
    )
    parser.add_argument('--max-frames', type=positive, help='of each video or camera')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 (the GPU if there is one)')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle the checkpoint named here in full, which runs any code in it',
    )
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is less than 1')
    return number


def predict(args: argparse.Namespace) -> None:
    from freeanchor.engine import ConfigError
    from freeanchor.engine.trust import trust_named
    from freeanchor.inference.jobs import find_jobs
    from freeanchor.inference.tally import Tally

    if args.out_dir is None and not (args.json or args.csv):
        args.out_dir = _PICTURES
    tally = Tally()
    jobs = find_jobs(args.inputs, args.max_frames, tally.add_broken)
    if args.ids_from and any(job.video for job in jobs):
        raise ConfigError('--ids-from: frames of a video have no ids in such a file')
    refuse_overwriting(args, jobs)
    if args.trust_checkpoint:
        trust_named(args.checkpoint)
    detector = open_detector(args)
    tables = table_writers(args, jobs, detector)
    start = time.perf_counter()
    views = view_writers(args, jobs, detector)
    for job, view in zip(jobs, views):
        with closing(view) if view else nullcontext():
            before = tally.num_images
            follow(job, detector, [*tables, *filter(None, [view])], tally, args)
        if job.video is not None:
            frames = tally.num_images - before
            tally.add_video(job.name, frames, expected_frames(job, args.max_frames))
    seconds = time.perf_counter() - start
    # Only now: a table that is there is whole.
    for table in tables:
        table.close()
    print(tally.text(seconds, args.score_thr))
    for place in filter(None, (args.out_dir, args.json, args.csv)):
        print(f'written to {place}')
    tally.raise_for_broken()


def expected_frames(job: 'Job', most: int | None) -> int | None:
    """Frames that a whole video gives; None where it does not say."""
    known = job.video.num_frames if job.video else None
    return known if known is None or most is None else min(known, most)


def refuse_overwriting(args: argparse.Namespace, jobs: 'list[Job]') -> None:
    """Refuse, before detecting, results that cannot be written or would do harm."""
    from freeanchor.inference.output_paths import check_apart, check_outputs

    inputs = [Path(x) for x in args.inputs if Path(x).is_file()]
    for job in jobs:
        found = job.sources if job.video is None else ()
        inputs += [x.content for x in found if isinstance(x.content, Path)]
    read = [Path(x) for x in (args.checkpoint, args.config, args.ids_from) if x]
    tables = {'--json': args.json, '--csv': args.csv}
    check_outputs(args.out_dir, tables, [*read, *inputs])
    if args.out_dir is not None:
        check_apart(args.out_dir, inputs)


def open_detector(args: argparse.Namespace) -> 'AnyDetector':
    """The detector of a checkpoint, or one that was exported.

    Raises:
        ConfigError: An exported one is to run elsewhere than on the CPU.
    """
    from freeanchor.deployment import SUFFIXES, load_exported
    from freeanchor.engine import ConfigError
    from freeanchor.inference import load_detector

    if Path(args.checkpoint).suffix not in SUFFIXES:
        return load_detector(args.checkpoint, args.config, args.device)
    if args.device not in (None, 'cpu'):
        raise ConfigError(
            f'--device {args.device}: exported detectors run on the CPU here; leave it '
            'out'
        )
    return load_exported(args.checkpoint)


def table_writers(
    args: argparse.Namespace, jobs: 'list[Job]', detector: 'AnyDetector'
) -> 'list[Writer]':
    """JSON and CSV, of all jobs together."""
    from functools import partial

    from freeanchor.inference import to_coco
    from freeanchor.inference.coco_ids import CocoIds
    from freeanchor.inference.writers import CsvWriter, JsonWriter

    writers: list[Writer] = []
    if args.json:
        categories, images = detector.category_ids, None
        if args.ids_from:
            known = CocoIds.read(args.ids_from)
            categories = known.of_classes(detector.class_names)
            images = known.of_images(x.name for job in jobs for x in job.sources)
        to_rows = partial(to_coco, category_ids=categories, image_ids=images)
        writers.append(JsonWriter(Path(args.json), to_rows))
    if args.csv:
        writers.append(CsvWriter(Path(args.csv)))
    return writers


def view_writers(
    args: argparse.Namespace, jobs: 'list[Job]', detector: 'AnyDetector'
) -> 'list[Writer | None]':
    """Pictures or a video for each job; None for each without ``--out-dir``."""
    from freeanchor.inference.writers import OutputFolder, PictureWriter, VideoWriter

    if args.out_dir is None:
        return [None] * len(jobs)
    folder, names = OutputFolder(args.out_dir), detector.class_names
    writers: list[Writer | None] = []
    for job in jobs:
        if job.video is None:
            writers.append(PictureWriter(folder, names))
        else:
            place = folder.place_for(job.video.name, '.mp4')
            writers.append(VideoWriter(place, job.video.rate, names))
    return writers


def follow(
    job: 'Job',
    detector: 'AnyDetector',
    writers: 'Sequence[Writer]',
    tally: 'Tally',
    args: argparse.Namespace,
) -> None:
    """Detect in all images of a job; Ctrl-C ends one that has no end."""
    from rich.console import Console
    from rich.progress import track

    from freeanchor.inference import detect_each

    found = detect_each(
        detector, job.sources, args.score_thr, args.batch_size, tally.add_broken
    )
    screen = Console(stderr=True)
    try:
        for detected in track(
            found,
            job.name,
            total=job.total,
            console=screen,
            disable=not screen.is_terminal,
        ):
            for writer in writers:
                writer.add(detected)
            tally.add(detected.instances.names)
    except KeyboardInterrupt:
        if job.total is not None:
            raise


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: predict(args))


if __name__ == '__main__':
    sys.exit(main())
