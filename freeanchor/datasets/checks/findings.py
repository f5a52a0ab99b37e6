"""What a check found, counted and with examples."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

EXAMPLES = 100  # kept of each kind of finding in a file
# What training can do with; all else is an error.
WARNINGS = frozenset(
    {
        'damaged_pixels',
        'duplicate_box',
        'duplicate_file',
        'duplicate_content',
        'link_outside',
        'other_class',
        'outside_box',
        'partly_outside',
        'perhaps_corners',
        'rotated',
        'shared_image',
        'sixteen_bit',
        'thin_box',
        'turned',
        'unused_class',
        'zero_area',
        'zero_box',
    }
)


@dataclass(frozen=True)
class Finding:
    """Something wrong, where it is, and the mend.

    ``code`` is a word for programs. What does not apply is None.
    """

    code: str
    file: str  # the annotation file
    text: str
    mend: str
    image_id: Hashable = None
    image: str | None = None  # as file_name has it
    annotation_id: Hashable = None

    @property
    def severity(self) -> str:
        """``'warning'`` where training leaves out or copes, else ``'error'``."""
        return 'warning' if self.code in WARNINGS else 'error'

    @property
    def place(self) -> str:
        parts = []
        if self.image_id is not None:
            parts.append(f'image {self.image_id!r}')
        if self.image is not None:
            parts.append(f'({self.image})' if parts else self.image)
        if self.annotation_id is not None:
            parts.append(f'annotation {self.annotation_id!r}')
        return ' '.join(parts)


@dataclass
class SetSummary:
    """Numbers of one annotation file."""

    name: str
    file: str
    classes: tuple[str, ...] = ()  # in the order of their labels
    images: int = 0
    boxes: int = 0  # sound ones of the classes
    files_seen: int = 0  # images whose file was looked at
    objects: dict[str, int] = field(default_factory=dict)  # boxes by class
    dropped: dict[str, int] = field(default_factory=dict)  # boxes by reason


class Report:
    """All findings of a check: counts, and the first examples of each kind."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()  # by file and code
        self.sets: list[SetSummary] = []
        self._kept: Counter[tuple[str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        self.add_all(1, [finding])

    def add_all(self, count: int, findings: Iterable[Finding]) -> None:
        """Note ``count`` findings of one kind in a file; the first are kept."""
        for finding in islice(findings, EXAMPLES):
            key = (finding.file, finding.code)
            if count:
                self.counts[key] += count
                count = 0
            if self._kept[key] < EXAMPLES:
                self._kept[key] += 1
                self.findings.append(finding)

    def add_new(self, other: 'Report') -> None:
        """Note the sets of another report, and of its findings those that are new.

        A file that two sets read has most of its faults in both.
        """
        self.sets += other.sets
        known, noted = set(self.findings), set(self.counts)
        for count, first in other.kinds():
            key = (first.file, first.code)
            found = [
                x for x in other.findings if (x.file, x.code) == key and x not in known
            ]
            self.add_all(len(found) if key in noted else count, found)

    @property
    def errors(self) -> int:
        return self._count('error')

    @property
    def warnings(self) -> int:
        return self._count('warning')

    def kinds(self) -> Iterator[tuple[int, Finding]]:
        """Count and first example of each kind, errors first, then the frequent."""
        first: dict[tuple[str, str], Finding] = {}
        for finding in self.findings:
            first.setdefault((finding.file, finding.code), finding)
        order = sorted(
            first, key=lambda key: (first[key].severity != 'error', -self.counts[key])
        )
        for key in order:
            yield self.counts[key], first[key]

    def as_data(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return dict(
            errors=self.errors,
            warnings=self.warnings,
            sets=[asdict(x) for x in self.sets],
            kinds=[
                dict(file=x.file, code=x.code, severity=x.severity, count=count)
                for count, x in self.kinds()
            ],
            findings=[dict(severity=x.severity, **asdict(x)) for x in self.findings],
        )

    def _count(self, severity: str) -> int:
        return sum(count for count, x in self.kinds() if x.severity == severity)
