"""How many shapes the batches of an epoch have: what ``torch.compile`` compiles for.

Image sizes are drawn with COCO's habits: the longer side is 640 pixels, the
shorter mostly 480 or 427, three pictures of four lie on their side.
"""

import random

LONG = 640
SHORT = ((480, 0.36), (427, 0.28), (426, 0.10), (425, 0.04), (360, 0.04))
SINGLE = [800]
MULTIPLE = list(range(480, 801, 32))
LIMIT = 1333


def shapes_of_an_epoch(images: int, batch: int = 2, seed: int = 0) -> dict[str, int]:
    """Distinct shapes by how images are resized and batches are padded.

    Args:
        images: Images of the epoch.
        batch: Images of a batch, of like orientation.
        seed: Of the random numbers.
    """
    found = {}
    for name, scales in (('one scale', SINGLE), ('11 scales', MULTIPLE)):
        for divisor in (32, 128):
            sizes = epoch(images, batch, scales, divisor, random.Random(seed))
            found[f'{name}, multiples of {divisor}'] = len(sizes)
    return found


def epoch(
    images: int, batch: int, scales: list[int], divisor: int, rng: random.Random
) -> set[tuple[int, int]]:
    waiting: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    shapes = set()
    for _ in range(images):
        height, width = resized(picture(rng), rng.choice(scales))
        group = waiting[width > height]
        group.append((height, width))
        if len(group) == batch:
            sides = [max(x) for x in zip(*group)]
            shapes.add(tuple(-(-n // divisor) * divisor for n in sides))
            group.clear()
    return shapes


def picture(rng: random.Random) -> tuple[int, int]:
    """Height and width."""
    draw, short = rng.random(), 0
    for side, share in SHORT:
        draw -= share
        if draw < 0:
            short = side
            break
    short = short or rng.randint(240, LONG)
    return (short, LONG) if rng.random() < 0.75 else (LONG, short)


def resized(size: tuple[int, int], scale: int) -> tuple[int, int]:
    factor = min(scale / min(size), LIMIT / max(size))
    return round(size[0] * factor), round(size[1] * factor)
