"""Try a detector in the browser: drop a picture, move the threshold, see the matching.

python tools/demo.py work_dirs/.../epoch_12.pth

Needs Gradio: pip install freeanchor[demo]. The page is served on this computer only.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LEAST_SCORE = 0.05  # where the slider begins
_SCORE = 0.3
_COLUMNS = ['object', 'class', 'score', 'x1', 'y1', 'x2', 'y2']
_ABOUT = (
    'Choose a detection: the anchors of its bag are coloured by what the detector '
    'thinks of them, as if the detection were an object to learn from.'
)
_MAX_FILE = '50mb'
# Gradio's button to share would upload the picture.
_SHOWN: dict[str, Any] = dict(
    interactive=False, format='png', buttons=['download', 'fullscreen']
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Try a detector in the browser.')
    parser.add_argument('checkpoint', help='checkpoint file; it carries its config')
    parser.add_argument('--config', help='config file, where the checkpoint has none')
    parser.add_argument('--device', help='cpu, cuda (the GPU if there is one)')
    parser.add_argument('--port', type=int, default=7860, help='of the page (7860)')
    return parser.parse_args()


@dataclass
class Seen:
    """A picture and all that was found in it."""

    sample: dict[str, Any]
    detected: Any

    def above(self, threshold: float) -> Any:
        instances = self.detected.instances
        return instances[instances.scores >= threshold]


def look(detector: Any, path: str | None) -> Seen | None:
    """Detect in the picture that was dropped; None where there is none."""
    import gradio

    from freeanchor.datasets.errors import BrokenImageError
    from freeanchor.inference import detect_each, find_images

    if path is None:
        return None
    sources = find_images(Path(path))
    try:
        sample = detector.pipeline.pack(detector.pipeline.load(sources[0]))
        (detected,) = detect_each(detector, sources, _LEAST_SCORE)
    except BrokenImageError as error:
        gradio.Warning(f'This is no picture that can be read: {error.reason}.')
        return None
    return Seen(sample, detected)


def show(
    seen: Seen | None, threshold: float, class_names: tuple[str, ...]
) -> tuple[Any, list[list], list[tuple[str, int]]]:
    """Picture, table and choices of the detections above the threshold."""
    from freeanchor.inference import to_dicts
    from freeanchor.inference.writers import annotated

    if seen is None:
        return None, [], []
    shown = seen.above(threshold)
    picture = annotated(seen.detected._replace(instances=shown), class_names)
    rows = [
        [i, x['name'], round(x['score'], 3), *(round(side, 1) for side in x['bbox'])]
        for i, x in enumerate(to_dicts(shown), 1)
    ]
    # Detections come by score: those above a threshold are the first ones.
    choices = [(f'{i}: {name} {score:.2f}', i - 1) for i, name, score, *_ in rows]
    return picture, rows, choices


def match(detector: Any, seen: Seen | None, row: int | None) -> Any:
    """The matching of a detection as a picture; None where none is chosen."""
    from mmengine.structures import InstanceData
    from PIL import Image

    from freeanchor.visualization.matched_objects import view_matching
    from freeanchor.visualization.matching import Moment, save_matching

    if seen is None or row is None:
        return None
    sample = seen.sample['data_samples'].clone()
    found = seen.detected.instances[row : row + 1]
    width, height = sample.get('scale_factor', (1.0, 1.0))
    sides = found.bboxes.new_tensor([width, height, width, height])
    sample.gt_instances = InstanceData(bboxes=found.bboxes * sides, labels=found.labels)
    packed = dict(inputs=seen.sample['inputs'], data_samples=sample)
    (view,) = view_matching(detector.model, packed)
    image = seen.detected.image[..., ::-1].copy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'matching.png'
        moment = Moment(f'score {float(found.scores[0]):.2f}', view)
        save_matching(path, image, [moment], found.names[0])
        with Image.open(path) as picture:
            return picture.convert('RGB')


def build_page(detector: Any) -> Any:
    """The page, not yet served; without the matching for other objectives."""
    import gradio

    from freeanchor.losses import FreeAnchorLoss

    names = detector.class_names
    with gradio.Blocks(title='FreeAnchor', analytics_enabled=False) as page:
        gradio.Markdown('# FreeAnchor\nDrop a picture and move the threshold.')
        seen = gradio.State()
        with gradio.Row():
            picture = gradio.Image(type='filepath', label='Picture', image_mode=None)
            drawn = gradio.Image(label='Detections', **_SHOWN)
        threshold = gradio.Slider(
            _LEAST_SCORE, 1, _SCORE, step=0.01, label='Least score'
        )
        table = gradio.Dataframe(headers=_COLUMNS, interactive=False, label='Found')
        chosen = gradio.Dropdown([], label='Detection', info=_ABOUT)
        view = gradio.Image(label='Matching', show_label=False, **_SHOWN)
        has_bags = isinstance(detector.model.loss, FreeAnchorLoss)
        chosen.visible = view.visible = has_bags

        def redraw(known: Seen | None, score: float) -> tuple:
            shown, rows, choices = show(known, score, names)
            return shown, rows, gradio.Dropdown(choices=choices, value=None)

        def begin(path: str | None, score: float) -> tuple:
            known = look(detector, path)
            return known, *redraw(known, score)

        results = [drawn, table, chosen]
        picture.change(begin, [picture, threshold], [seen, *results])
        threshold.change(redraw, [seen, threshold], results, show_progress='hidden')
        chosen.change(lambda *x: match(detector, *x), [seen, chosen], view)
    return page


def serve(args: argparse.Namespace) -> None:
    # Nothing is told to anybody; it has to be said before Gradio is imported.
    os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
    from freeanchor.engine import ConfigError
    from freeanchor.inference import load_detector

    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ConfigError(
            'Gradio is not installed: pip install freeanchor[demo]'
        ) from None
    detector = load_detector(args.checkpoint, args.config, args.device)
    build_page(detector).launch(
        server_name='127.0.0.1',
        server_port=args.port,
        share=False,
        max_file_size=_MAX_FILE,
        footer_links=[],
    )


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: serve(args))


if __name__ == '__main__':
    sys.exit(main())
