"""Where the name of a box is written."""

from collections.abc import Iterator, Sequence

Rectangle = tuple[float, float, float, float]  # xyxy, pixels


def place(
    size: tuple[int, int],
    box: Rectangle,
    picture: tuple[int, int],
    taken: Sequence[Rectangle],
    line: int,
) -> tuple[int, int]:
    """The upper left corner of a name: inside the picture, off other names.

    Args:
        size: Width and height of the name.
        box: What is named.
        picture: Width and height of the picture.
        taken: Names already written.
        line: Width of the box's line.

    Returns:
        Of the places around and in ``box``, the first that covers no other
        name; where there is none, the one that covers least.
    """
    places = [
        (_clamp(x, picture[0] - size[0]), _clamp(y, picture[1] - size[1]))
        for x, y in _places(size, box, line)
    ]
    return min(places, key=lambda at: _covered(at, size, taken))


def _places(
    size: tuple[int, int], box: Rectangle, line: int
) -> Iterator[tuple[float, float]]:
    width, height = size
    x1, y1, x2, y2 = box
    over, under = y1 - height, y2
    left, right = x1, x2 - width
    yield left, over
    yield left, under
    yield right, over
    yield right, under
    yield left + line, y1 + line
    yield left + line, y2 - height - line
    yield right - line, y1 + line
    yield right - line, y2 - height - line
    # Beside the box, from the top downwards.
    for row in range(4):
        yield x2, y1 + row * height
        yield x1 - width, y1 + row * height


def _clamp(value: float, upper: int) -> int:
    return max(0, min(round(value), upper))


def _covered(
    at: tuple[int, int], size: tuple[int, int], taken: Sequence[Rectangle]
) -> float:
    x1, y1 = at
    x2, y2 = x1 + size[0], y1 + size[1]
    return sum(
        max(0, min(x2, right) - max(x1, left)) * max(0, min(y2, low) - max(y1, high))
        for left, high, right, low in taken
    )
