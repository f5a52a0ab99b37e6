"""What testing does to an image, without its annotations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config

from freeanchor.datasets.errors import BrokenImageError
from freeanchor.datasets.image_loading import LoadImageFromFile
from freeanchor.engine import ConfigError
from freeanchor.registry import TRANSFORMS

from .download import download_image
from .sources import ImageSource

_LOADERS = ('LoadImageFromFile',)
_ANNOTATIONS = ('LoadAnnotations',)  # nobody has annotated a new image


@dataclass(frozen=True)
class ImagePipeline:
    """The test pipeline of a config, from an image of any source to a sample.

    Args:
        loader: Reads or decodes an image.
        steps: What follows; the last one packs.
    """

    loader: LoadImageFromFile
    steps: tuple[Callable[[dict], dict | None], ...]

    @classmethod
    def of_config(cls, cfg: Config) -> 'ImagePipeline':
        """The pipeline of ``test_dataloader``, else of ``val_dataloader``.

        Raises:
            ConfigError: There is none, or it does not begin with a
                ``LoadImageFromFile``.
        """
        steps = _steps(cfg)
        kinds = [str(step['type']).rpartition('.')[2] for step in steps]
        if kinds[0] not in _LOADERS:
            raise ConfigError(
                f'the test pipeline begins with {kinds[0]}, which reads no image that '
                'is not of a data set: begin with LoadImageFromFile'
            )
        loader, *others = (
            TRANSFORMS.build(dict(step))
            for step, kind in zip(steps, kinds)
            if kind not in _ANNOTATIONS
        )
        return cls(loader, tuple(others))

    def load(self, source: ImageSource) -> dict[str, Any]:
        """The image as it is, before it is resized.

        Returns:
            ``img``, ``(H, W, 3)`` BGR; ``img_path``, its name; ``ori_shape`` and
            ``img_shape``, its height and width in pixels.

        Raises:
            BrokenImageError: It cannot be had, read or decoded, or is too large.
        """
        results: dict[str, Any] = dict(img_path=source.name)
        content = source.content
        if isinstance(content, str):  # a URL
            content = download_image(content)
        if isinstance(content, bytes):
            content = self.loader.decode(results, content)
        if not isinstance(content, np.ndarray):
            loaded = self.loader.transform(results)
            if loaded is None:  # ignore_empty
                raise _unreadable(source.name)
            return loaded
        results['img'] = content.astype(np.float32 if self.loader.to_float32 else 'u1')
        results['img_shape'] = results['ori_shape'] = content.shape[:2]
        return results

    def pack(self, loaded: Mapping[str, Any]) -> dict[str, Any]:
        """What the model takes of an image that :meth:`load` returned.

        Raises:
            ConfigError: A step of the pipeline gave nothing back.
        """
        results: dict[str, Any] | None = dict(loaded)
        for step in self.steps:
            results = step(results) if results is not None else None
        if results is None:
            raise ConfigError(f'the test pipeline drops {loaded["img_path"]}')
        return results


def _unreadable(name: str) -> BrokenImageError:
    reason = 'it cannot be read or decoded'
    return BrokenImageError(f"the image '{name}': {reason}: replace it", name, reason)


def _steps(cfg: Config) -> list[dict[str, Any]]:
    for key in ('test_dataloader', 'val_dataloader'):
        dataset = (cfg.get(key) or {}).get('dataset')
        while dataset and 'pipeline' not in dataset:  # wrapped, or several
            inner = dataset.get('dataset') or dataset.get('datasets')
            dataset = inner[0] if isinstance(inner, list | tuple) else inner
        if dataset and dataset['pipeline']:
            return list(dataset['pipeline'])
    raise ConfigError('the config has no pipeline in test_dataloader or val_dataloader')
