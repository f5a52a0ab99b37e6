"""Pascal VOC's format: an XML file for each image, splits in ``ImageSets/Main``."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import DataError
from .building import Box, SplitBuilder
from .found import SPLITS, FoundData, split_called
from .tree import Tree
from .voc_lists import voc_lists
from .voc_xml import VocImage, read_voc_file


def read_voc(path: Path, tree: Tree) -> FoundData:
    """Reads a folder with XML files in Pascal VOC's format.

    Corners count from 1 and belong to the box, as VOC has it
    (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/): (1, 1, w, h) is the
    whole image. Where any corner of the set is 0, they are taken to be edges
    instead. Objects marked ``difficult`` are neither objects nor background.

    Raises:
        DataError: Names the file and the line.
    """
    files = [x for x in tree.ending('.xml') if looks_like_voc(x)]
    if not files:
        raise DataError(f'{path}: there is no XML file with an <annotation>')
    notes: list[str] = []
    read = {file: read_voc_file(file) for file in files}
    classes = sorted({x.name for image in read.values() for x in image.objects})
    if not classes:
        raise DataError(f'{path}: none of {len(files)} XML files has an <object>')
    shift = _shift(read.values(), notes)
    splits = {}
    for split, own in _splits(path, tree, files, notes).items():
        builder = SplitBuilder(f'{path}, {split}')
        for file in own:
            _add(builder, tree, file, read[file], classes, shift)
        splits[split] = builder.finish(classes, notes)
    difficult = sum(x.difficult for image in read.values() for x in image.objects)
    if difficult:
        notes.append(f'{difficult} objects are marked difficult: they are ignored')
    notes.append('classes are in the order of the alphabet, as the format has none')
    return FoundData('voc', path, splits, notes)


def looks_like_voc(path: Path) -> bool:
    """Whether an XML file begins with VOC's element."""
    with path.open('rb') as file:
        return b'<annotation' in file.read(2000)


def _shift(images: Iterable[VocImage], notes: list[str]) -> int:
    """What to take from the left and upper corners."""
    lowest = min((min(x.box[:2]) for i in images for x in i.objects), default=1)
    if lowest >= 1:
        return 1
    notes.append('corners count from 0 here, so they are taken to be edges of boxes')
    return 0


def _splits(
    path: Path, tree: Tree, files: list[Path], notes: list[str]
) -> dict[str, list[Path]]:
    listed = voc_lists(tree, files)
    if 'train' in listed:
        rest = len(set(files).difference(*listed.values()))
        if rest:
            notes.append(
                f'{rest} of {len(files)} XML files are in no list of train, val or '
                'test and are left out'
            )
        return listed
    found: dict[str, list[Path]] = {}
    for file in files:
        split = split_called(str(Path(tree.shown(file)).parent)) or 'train'
        found.setdefault(split, []).append(file)
    return {split: found[split] for split in SPLITS if split in found}


def _add(
    builder: SplitBuilder,
    tree: Tree,
    file: Path,
    read: VocImage,
    classes: list[str],
    shift: int,
) -> None:
    path = tree.image(read.file_name or file.stem, file) or tree.image(file.stem, file)
    if path is None:
        name = read.file_name or file.stem
        raise DataError(f'{file}: there is no image {name!r} below {tree.root}')
    # Tools of today often write a size of 0.
    size = read.size or builder.size(path)
    if size is None:
        return
    label = {name: i for i, name in enumerate(classes)}
    boxes: list[Box] = []
    crowds: list[Box] = []
    for item in read.objects:
        x1, y1, x2, y2 = item.box
        x1, y1 = x1 - shift, y1 - shift
        box = (label[item.name], x1, y1, max(x2 - x1, 0), max(y2 - y1, 0))
        (crowds if item.difficult else boxes).append(box)
    builder.add(path, size, boxes, crowds)
