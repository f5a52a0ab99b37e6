"""The lists of Pascal VOC in ``ImageSets/Main``: which images a split has."""

from collections import defaultdict
from pathlib import Path

from ..errors import DataError
from .found import SPLITS
from .texts import read_lines
from .tree import Tree


def voc_lists(tree: Tree, files: list[Path]) -> dict[str, list[Path]]:
    """The XML files of each split that a list names; of all years of a devkit.

    ``trainval`` stands in for ``train`` where a year has only that.

    Args:
        tree: The files below the folder.
        files: The XML files among them.

    Raises:
        DataError: A name in a list has no file, or several. Names the line.
    """
    found: dict[str, list[Path]] = {}
    for root, lists in _by_root(tree).items():
        # A year's names are its own: 2007 and 2012 may both have a 000001.
        own = _Names(root, [x for x in files if x.is_relative_to(root)] or files)
        for split in (x for x in SPLITS if x in lists):
            found.setdefault(split, []).extend(own.listed(lists[split]))
    return {split: found[split] for split in SPLITS if split in found}


def _by_root(tree: Tree) -> dict[Path, dict[str, Path]]:
    """For each folder that holds ``ImageSets`` its lists by name."""
    found: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in tree.ending('.txt'):
        if path.parts[-3:-1] == ('ImageSets', 'Main'):
            found[path.parents[2]][path.stem] = path
    for lists in found.values():
        if 'train' not in lists and 'trainval' in lists:
            lists['train'] = lists['trainval']
    return found


class _Names:
    """Finds the XML files below a folder by name."""

    def __init__(self, root: Path, files: list[Path]) -> None:
        self._usual = root / 'Annotations'
        self._of_stem: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            self._of_stem[file.stem].append(file)

    def listed(self, path: Path) -> list[Path]:
        """The files that a list names, one a line."""
        found = []
        for number, line in read_lines(path):
            # Lists for one class have a flag behind the name; names may have spaces.
            name = line if line in self._of_stem else line.split()[0]
            found.append(self._file(name, f'{path}, line {number}'))
        if not found:
            raise DataError(f'{path}: is empty: list the names of its images')
        return found

    def _file(self, name: str, where: str) -> Path:
        files = self._of_stem.get(name, [])
        if len(files) > 1:
            files = [x for x in files if x.parent == self._usual] or files
        if not files:
            raise DataError(f'{where}: there is no {name}.xml')
        if len(files) > 1:
            raise DataError(
                f'{where}: {name} is both {files[0]} and {files[1]}: rename one, or '
                'move it away'
            )
        return files[0]
