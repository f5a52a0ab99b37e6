"""T23, the checkpoint half; the long form is tests/faults/fuzz_checkpoints.py."""

import sys

import pytest

from tests.faults.fuzz_checkpoints import fuzz


@pytest.mark.skipif(sys.platform == 'win32', reason='the files are read in forks')
@pytest.mark.filterwarnings('ignore')
def test_a_damaged_checkpoint_is_refused_or_read_whatever_the_damage():
    tally, findings = fuzz(600, seed=1)
    assert not findings
    assert tally['read'] + tally['refused'] == 600
    assert tally['read']
