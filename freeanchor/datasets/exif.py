"""How a camera was held, from the notes (EXIF) in an image file."""

import struct

_ORIENTATION = 0x0112


def orientation_of(notes: bytes) -> int:
    """The orientation, 1 to 8; 1 (upright) where none, or no legal one, is noted.

    Args:
        notes: A TIFF structure, as a JPEG has it after ``Exif`` and two zeros.
    """
    order = {b'II': '<', b'MM': '>'}.get(notes[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + 'I', notes, 4)
        (count,) = struct.unpack_from(order + 'H', notes, start)
        for i in range(count):
            tag, _, _, value = struct.unpack_from(
                order + 'HHIH', notes, start + 2 + 12 * i
            )
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
