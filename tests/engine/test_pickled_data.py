"""Pickles are read as data, in no more memory than they may take."""

import contextlib
import struct
import tracemalloc
from io import BytesIO

import pytest

from freeanchor.engine.pickled_data import read_pickle
from freeanchor.engine.stand_ins import TABLE


def called(name: str) -> bytes:
    return b'c' + name.replace(' ', '\n').encode() + b'\n'


def counted(opcode: bytes, content: bytes) -> bytes:
    return opcode + struct.pack('<I', len(content)) + content


COUNT = 60_000
CONTENT = b'a' * COUNT
NUMBERS = called('numpy dtype') + counted(b'X', b'u1') + b'\x89\x88\x87R'
SHAPE = b'J' + struct.pack('<i', COUNT) + b'\x85'
ARRAY = called('numpy.core.multiarray _reconstruct') + b'q\x00'
ARRAY += called('numpy ndarray') + b'K\x00\x85C\x01b\x87q\x01'
HISTORY = called('mmengine.logging.history_buffer HistoryBuffer') + b'q\x04'
STATE = b'(K\x01' + SHAPE + NUMBERS + b'\x89' + counted(b'B', CONTENT) + b'tq\x02'
FIELDS = (
    b'}('
    + counted(b'X', b'_log_history')
    + b'h\x03'
    + counted(b'X', b'_count_history')
    + b'h\x03'
    + counted(b'X', b'max_length')
    + b'J'
    + struct.pack('<i', COUNT)
    + b'uq\x05'
)
TEXT = called('numpy dtype') + counted(b'X', b'S%d' % COUNT) + b'\x89\x88\x87R'
# A few bytes each, and what Python makes of them is many.
SWOLLEN = {
    'lists': b'](' + b']' * COUNT + b'e',
    'dicts': b'](' + b'}' * COUNT + b'e',
    'sets': b'](' + b'\x8f' * COUNT + b'e',
    'tuples': b'N' + b'\x85' * COUNT,
    'memo': b'N' + b'\x94' * COUNT,
    'ordered dicts': called('collections OrderedDict')
    + b'q\x00]('
    + b'h\x00)R' * (COUNT // 4)
    + b'e',
    'arrays of the same bytes': ARRAY
    + STATE
    + b']('
    + b'h\x00h\x01Rh\x02b' * 200
    + b'e',
    'histories of the same array': ARRAY
    + b'h\x00h\x01R'
    + STATE
    + b'bq\x03'
    + HISTORY
    + FIELDS
    + b']('
    + b'h\x04)Rh\x05b' * 100
    + b'e',
    'text encoded again': called('_codecs encode')
    + b'q\x00'
    + counted(b'X', CONTENT)
    + counted(b'X', b'latin1')
    + b'\x86q\x01]('
    + b'h\x00h\x01R' * 200
    + b'e',
    'numpy text': called('numpy.core.multiarray scalar')
    + b'q\x00'
    + TEXT
    + counted(b'B', CONTENT)
    + b'\x86q\x01]('
    + b'h\x00h\x01R' * 200
    + b'e',
}


@pytest.mark.parametrize('name', SWOLLEN)
def test_what_python_makes_of_few_bytes_is_bounded(name):
    file = BytesIO(b'\x80\x04' + SWOLLEN[name] + b'.')
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            read_pickle(file, TABLE, 1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 << 19


@pytest.mark.parametrize('name', SWOLLEN)
def test_these_pickles_are_sound_where_there_is_memory(name):
    file = BytesIO(b'\x80\x04' + SWOLLEN[name] + b'.')
    read_pickle(file, TABLE, 1 << 40)
