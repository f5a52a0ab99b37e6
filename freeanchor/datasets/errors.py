"""What is wrong with data, as exceptions."""


class DataError(ValueError):
    """Annotations or images that cannot be used.

    The message names the file, the image or annotation, and the mend. The tools
    print it as one line and end with ``exit_code``.
    """

    exit_code = 3


class BrokenImageError(DataError):
    """An image file that is missing or cannot be read.

    Args:
        message: File, reason and mend in one line.
        path: The file.
        reason: What is wrong with it, in a few words.
    """

    def __init__(self, message: str, path: str = '', reason: str = '') -> None:
        # One argument is enough: so a loader's worker can hand it on.
        super().__init__(message)
        self.path = path
        self.reason = reason


class MissingImageError(BrokenImageError, FileNotFoundError):
    """An image that an annotation file lists and nobody can find."""
