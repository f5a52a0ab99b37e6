"""Ids that detections need where a COCO annotation file is to judge them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from freeanchor.datasets.coco_file import read_coco
from freeanchor.datasets.errors import DataError


@dataclass(frozen=True)
class CocoIds:
    """Ids of an annotation file.

    Args:
        path: Of the file.
        images: Image id by ``file_name``.
        categories: Category id by name.
    """

    path: str
    images: dict[str, int]
    categories: dict[str, int]

    @classmethod
    def read(cls, path: str | Path) -> 'CocoIds':
        """Read an annotation file; it need not list annotations.

        Raises:
            FileNotFoundError: There is no such file.
            DataError: It is no annotation file.
        """
        file = read_coco(str(path), need_annotations=False, allow_outside=True)
        images = {image['file_name']: image['id'] for image in file.images}
        return cls(str(path), images, {x: i for i, x in file.categories.items()})

    def of_images(self, names: Iterable[str]) -> dict[str, int]:
        """The id of each image, by the longest end of its path that is listed.

        Raises:
            DataError: An image is not listed.
        """
        return {name: self._of_image(name) for name in names}

    def of_classes(self, class_names: Sequence[str]) -> tuple[int, ...]:
        """The category id of each class.

        Raises:
            DataError: The file has no category of that name.
        """
        missing = [x for x in class_names if x not in self.categories]
        if missing:
            raise DataError(
                f'{self.path} has no category {missing[0]!r}, which the detector '
                f'knows; it has: {", ".join(self.categories)}'
            )
        return tuple(self.categories[x] for x in class_names)

    def _of_image(self, name: str) -> int:
        parts = PurePath(name).parts
        for start in range(len(parts)):
            end = '/'.join(parts[start:])
            if end in self.images:
                return self.images[end]
        raise DataError(
            f"{self.path} does not list the image '{name}': give the annotation file "
            'of these images'
        )
