"""The files below a folder, by kind and by name."""

import os
from collections import defaultdict
from pathlib import Path

IMAGES = {
    *('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.gif', '.tif', '.tiff', '.avif'),
    *('.pgm', '.ppm', '.pnm'),
}


class Tree:
    """The files below a folder; what begins with a dot is left out.

    Links to folders are followed, each folder once.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_suffix: dict[str, list[Path]] = defaultdict(list)
        self._images: dict[str, list[Path]] = defaultdict(list)
        self._stems: dict[str, list[Path]] = defaultdict(list)
        seen: set[str] = set()
        for folder, folders, names in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(x for x in folders if not x.startswith('.'))
            for name in sorted(names):
                if not name.startswith('.'):
                    self._add(Path(folder, name))

    def _add(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix in IMAGES:
            self._images[path.name].append(path)
            self._stems[path.stem].append(path)
        else:
            self._by_suffix[suffix].append(path)

    def ending(self, *suffixes: str) -> list[Path]:
        """Files with one of the suffixes (``'.txt'``), those near the root first."""
        found = [x for suffix in suffixes for x in self._by_suffix.get(suffix, ())]
        return sorted(found, key=lambda x: (len(x.parts), str(x)))

    def images(self) -> list[Path]:
        """All image files."""
        return sorted(x for paths in self._images.values() for x in paths)

    def image(self, name: str, near: Path) -> Path | None:
        """The image file of that name, with or without its suffix; the nearest one.

        Args:
            name: A name, or a path of which only the name counts.
            near: The file that speaks of it.
        """
        name = name.replace('\\', '/').rsplit('/', 1)[-1]
        # A dot may be part of a name that lacks its suffix.
        found = self._images.get(name) or self._stems.get(name)
        if not found and Path(name).suffix.lower() in IMAGES:
            found = self._stems.get(Path(name).stem)
        if not found:
            return None
        return max(found, key=lambda x: _shared(x.parent.parts, near.parent.parts))

    def all_images(self, name: str) -> list[Path]:
        """The image files of that name, or of the last part of that path."""
        return self._images.get(name.replace('\\', '/').rsplit('/', 1)[-1], [])

    def shown(self, path: Path) -> str:
        """A path as it is seen from the root."""
        return os.path.relpath(path, self.root)


def _shared(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[int, int]:
    """Folders in common, from the root and, by words of a split, further down."""
    common = 0
    for a, b in zip(first, second):
        if a != b:
            break
        common += 1
    rest = {x.lower() for x in first[common:]} & {x.lower() for x in second[common:]}
    return len(rest), common
