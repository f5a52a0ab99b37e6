"""Check image files against their annotations, and against each other."""

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .findings import Finding, Report, SetSummary
from .look import Look
from .looking import Looking
from .source import Source

_ROUNDED = 0.01  # by which the ratios of a resized image may differ
_REPLACE = 'bring the file back whole, or remove the image (--fix does)'
_MENDS = dict(
    missing_image='compare data_prefix.img_path and file_name with the folder',
    too_large='remove it, or raise max_pixels of LoadImageFromFile',
    sixteen_bit='spread the values over 8 bits and save it so',
    damaged_pixels='look at it; some of its pixels are garbage',
)


def check_images(
    images: list[dict[str, Any]],
    source: Source,
    look: Looking,
    report: Report,
    summary: SetSummary,
) -> dict[str, str]:
    """Note files that are missing, broken, double, or of another size.

    Args:
        images: Sound entries.
        source: Where they are from.
        look: Looks at the files, or some of them.
        report: Gets the findings.
        summary: Gets the number of files seen.

    Returns:
        A file's name by what tells its content from that of others.
    """
    paths = [os.path.join(source.folder, x['file_name']) for x in images]
    _note_double_entries(images, source, report)
    seen = look(paths, source.max_pixels)
    summary.files_seen = len(seen)
    missing = 0
    names: dict[str, str] = {}
    root = os.path.realpath(source.folder) + os.sep
    for i, found in sorted(seen.items()):
        for code, text, mend in _faults(images[i], found, paths[i], root, source):
            report.add(_finding(source, code, text, mend, images[i]))
            missing += code == 'missing_image'
        other = names.setdefault(found.fingerprint, images[i]['file_name'])
        if found.fingerprint and other != images[i]['file_name']:
            text = f'its content is that of {other}'
            mend = 'remove one of the two, or join their boxes'
            report.add(_finding(source, 'duplicate_content', text, mend, images[i]))
    if seen and missing > 0.9 * len(seen):
        text = f'{missing} of {len(seen)} images are not in {source.folder or "."}'
        mend = 'set data_root and data_prefix.img_path to where they are'
        report.add(Finding('wrong_folder', source.ann_file, text, mend))
    names.pop('', None)
    return names


def check_splits(names: dict[Source, dict[str, str]], report: Report) -> None:
    """Note images that training and validation share: then AP says too much.

    Args:
        names: Of each set what :func:`check_images` gave. Each is compared with
            the first, and with those of training, before it.
        report: Gets the findings.
    """
    sources = list(names)
    for place, source in enumerate(sources):
        earlier = [x for x in sources[:place] if x.name == 'train' or x is sources[0]]
        twins = [x for x in earlier if _files_of(x) == _files_of(source)]
        twin = next((x for x in twins if x.name != source.name), None)
        if twin is not None:
            text = f'{source.name} has the images of {twin.name}: the same file'
            mend = f'take images for {source.name} that {twin.name} does not have'
            report.add(Finding('shared_image', source.ann_file, text, mend))
            continue
        known = {
            mark: f'{other.ann_file} has this image too, as {name}'
            for other in earlier
            if other not in twins
            for mark, name in names[other].items()
        }
        shared = [
            Finding(
                *('shared_image', source.ann_file, known[mark]),
                'remove it from one of the two',
                image=name,
            )
            for mark, name in names[source].items()
            if mark in known
        ]
        report.add_all(len(shared), shared)


def _files_of(source: Source) -> tuple[str, str]:
    return source.ann_file, source.folder


def _faults(
    image: dict[str, Any], found: Look, path: str, root: str, source: Source
) -> Iterator[tuple[str, str, str]]:
    for code, text in found.problems:
        yield code, text, _MENDS.get(code, _REPLACE)
    if found.header is not None and 'too_large' not in dict(found.problems):
        yield from size_faults(image, found)
    if not source.allow_outside and not os.path.realpath(path).startswith(root):
        yield 'link_outside', 'a link leads out of the folder', 'copy the file there'


def size_faults(image: dict[str, Any], found: Look) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the annotated size of an image that was looked at."""
    assert found.header is not None, 'an image without a header has no size'
    header = found.header
    size = (image['width'], image['height'])
    shown = f'{header.upright[0]} x {header.upright[1]}'
    annotated = f'annotated as {size[0]} x {size[1]}'
    if size == header.upright:
        if header.orientation in (2, 3, 4) or (
            header.orientation > 4 and size[0] == size[1]
        ):
            text = (
                'it is turned or mirrored when read (EXIF), and its size does not tell'
            )
            yield 'turned', text, 'look whether its boxes fit the upright image'
    elif size == (header.width, header.height):
        text = f'it is {shown} upright (EXIF) but {annotated}'
        yield 'rotated', text, 'nothing: it is read without the rotation'
    elif size == header.upright[::-1]:
        text = f'it is {shown} but {annotated}, the other way round'
        yield 'swapped_size', text, 'exchange width and height'
    elif scale_of(image, header.upright) is not None:
        times = size[0] / header.upright[0]
        text = f'it is {shown} but {annotated}, {times:.4g} times it'
        mend = (
            'bring back the image that was annotated, or scale its boxes (--fix does)'
        )
        yield 'scaled_size', text, mend
    else:
        text = f'it is {shown} but {annotated}'
        yield 'wrong_size', text, 'correct width and height, or bring the image back'


def scale_of(
    image: dict[str, Any], size: tuple[int, int]
) -> tuple[float, float] | None:
    """How much wider and higher a file is than annotated, if it was resized.

    Args:
        image: Its entry, with a width and a height.
        size: Width and height of the file, in pixels.

    Returns:
        The two ratios where they are equal but for rounding; None where they are
        not, or where the sizes differ by no more than a pixel.
    """
    annotated = (image['width'], image['height'])
    if max(abs(a - b) for a, b in zip(size, annotated)) <= 1:
        return None
    ratios = (size[0] / annotated[0], size[1] / annotated[1])
    return ratios if abs(ratios[0] - ratios[1]) <= _ROUNDED * ratios[1] else None


def _note_double_entries(
    images: list[dict[str, Any]], source: Source, report: Report
) -> None:
    if len({x['file_name'] for x in images}) == len(images):
        return
    entries = defaultdict(list)
    for image in images:
        entries[os.path.normpath(image['file_name'])].append(image)
    for first, *others in entries.values():
        for other in others:
            text = f'its file is that of image {first["id"]!r} too'
            mend = 'join the two entries (--fix does): boxes of one miss on the other'
            report.add(_finding(source, 'duplicate_file', text, mend, other))


def _finding(
    source: Source, code: str, text: str, mend: str, image: dict[str, Any]
) -> Finding:
    return Finding(
        *(code, source.ann_file, text, mend),
        image_id=image['id'],
        image=image['file_name'],
    )
