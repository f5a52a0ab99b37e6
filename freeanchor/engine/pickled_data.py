"""Read a pickle as data: a small machine that can build values and nothing else.

Python's unpickler calls what a file names, and sets attributes of what it gets.
This one knows the instructions that plain data needs. A name it reads stands
for an entry of a closed table, or the file is refused.
"""

import pickletools
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

_VALUES = frozenset(
    ['BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT']
    + ['BINUNICODE', 'SHORT_BINUNICODE', 'BINSTRING', 'SHORT_BINSTRING']
    + ['BINBYTES', 'SHORT_BINBYTES']
)
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY = {
    'EMPTY_DICT': dict,
    'EMPTY_LIST': list,
    'EMPTY_SET': set,
    'EMPTY_TUPLE': tuple,
}
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_DICTS = (dict, OrderedDict, Counter)
_KEYS = (str, int, float, bool, bytes, type(None))
# Bytes of memory, about: one byte of a file can ask for each of these.
_TUPLE = 150
_CONTAINER = 300  # a list, dict or set, with what is noted to finish it
_ENTRY = 100  # of a dict or set, of the memo
_RESULT = 500  # of a call

_OLD_MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


class ForbiddenError(ValueError):
    """A file that holds more than data; the text is what it names."""


class Name:
    """What a name of the table stands for, such as ``collections.OrderedDict``.

    Args:
        path: Module and name in the file.
        make: Makes the value from the arguments that the file gives.
    """

    def __init__(self, path: str, make: Callable[..., Any]) -> None:
        self.path = path
        self.make = make


class Built:
    """A value that takes its content after it was made."""

    #: Memory that its content takes and the file does not, in bytes.
    num_bytes = 0

    def set_state(self, state: Any) -> None:
        raise NotImplementedError


def read_pickle(
    file: BinaryIO,
    table: Mapping[str, Any],
    memory: int,
    find: Callable[[Any], Any] | None = None,
) -> Any:
    """The value of the pickle at the file's position.

    Args:
        file: Its position is behind the pickle afterwards.
        table: What names stand for: a :class:`Name`, or a plain value.
        memory: Bytes, about, that the values may take beside those that the file
            spells out.
        find: Returns what stands outside the pickle, such as a tensor's
            storage, by its description.

    Raises:
        ForbiddenError: The pickle asks for what is no plain data.
        ValueError: It is damaged or asks for more memory; other exceptions may
            mean so too.
    """
    machine = _Machine(table, memory, find)
    for opcode, argument, _ in pickletools.genops(file):
        machine.step(opcode.name, argument)
    return machine.pop()


def check_key(key: Any) -> Any:
    """``key``, if a dict of plain data may have it: a number, text, or some."""
    # Hashing a tuple that is nested deeply would end the process.
    items = key if type(key) is tuple else (key,)
    if any(type(x) not in _KEYS for x in items):
        raise ValueError(f'a {type(key).__name__} is no key of a dict')
    return key


class _Machine:
    def __init__(
        self, table: Mapping[str, Any], memory: int, find: Callable | None
    ) -> None:
        self.table = table
        self.memory = memory
        self.find = find
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.take(_CONTAINER)
            self.stack.append(_EMPTY[name]())
        elif name in ('BINGET', 'LONG_BINGET'):
            self.stack.append(self.memo[argument])
        elif name in ('BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            self.take(_ENTRY)
            self.memo[len(self.memo) if argument is None else argument] = self.top()
        elif name in _TUPLES:
            items = [self.pop() for _ in range(_TUPLES[name])]
            self.take(_TUPLE)
            self.stack.append(tuple(items[::-1]))
        elif name in ('PROTO', 'FRAME', 'STOP'):
            pass
        elif (action := getattr(self, f'do_{name.lower()}', None)) is not None:
            action(argument)
        else:
            raise ForbiddenError(f'the pickle instruction {name}')

    def take(self, num_bytes: int) -> None:
        """Count memory, and refuse what takes too much."""
        self.memory -= num_bytes
        if self.memory < 0:
            raise ValueError('it asks for more memory than a file of its size may')

    def top(self) -> Any:
        # What stands below a mark is out of reach, as it is for Python.
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError('an instruction without a value')
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        del self.stack[-1]
        return value

    def pop_marked(self) -> list:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def do_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def do_tuple(self, _: None) -> None:
        self.take(_TUPLE)
        self.stack.append(tuple(self.pop_marked()))

    def do_append(self, _: None) -> None:
        self.extend([self.pop()])

    def do_appends(self, _: None) -> None:
        self.extend(self.pop_marked())

    def do_setitem(self, _: None) -> None:
        value = self.pop()
        self.set_items([self.pop(), value])

    def do_setitems(self, _: None) -> None:
        self.set_items(self.pop_marked())

    def do_additems(self, _: None) -> None:
        items = self.pop_marked()
        if type(self.top()) is not set:
            raise ValueError('items are added to what is no set')
        self.take(_ENTRY * len(items))
        self.top().update(check_key(x) for x in items)

    def do_global(self, argument: str) -> None:
        self.name(*argument.split(' ', 1))

    def do_stack_global(self, _: None) -> None:
        name = self.pop()
        self.name(self.pop(), name)

    def do_reduce(self, _: None) -> None:
        arguments = self.pop()
        function = self.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise ForbiddenError(f'a call of a {type(function).__name__}')
        value = function.make(*arguments)
        # What is called may copy an argument, which the file gives but once.
        self.take(_RESULT + sys.getsizeof(value))
        self.stack.append(value)

    do_newobj = do_reduce  # a class called without its constructor

    def do_build(self, _: None) -> None:
        state = self.pop()
        value = self.top()
        if isinstance(value, Built):
            value.set_state(state)
            self.take(value.num_bytes)
        elif type(value) is OrderedDict and set(state) <= {'_metadata'}:
            vars(value).update(state)  # versions of the modules of a state dict
        elif not (type(value) is dict and state is value):  # as MMCV's ConfigDict has
            raise ForbiddenError(f'attributes of a {type(value).__name__}')

    def do_binpersid(self, _: None) -> None:
        if self.find is None:
            raise ValueError('a storage where none can be')
        self.take(_RESULT)
        self.stack.append(self.find(self.pop()))

    def extend(self, items: list) -> None:
        if type(self.top()) is not list:
            raise ValueError('items are appended to what is no list')
        self.top().extend(items)

    def set_items(self, items: list) -> None:
        if type(self.top()) not in _DICTS:
            raise ValueError('items are set in what is no dict')
        keys = [check_key(x) for x in items[::2]]
        self.take(_ENTRY * len(keys))
        self.top().update(zip(keys, items[1::2], strict=True))

    def name(self, module: str, name: str) -> None:
        path = f'{_OLD_MODULES.get(module, module)}.{name}'
        if path not in self.table:
            raise ForbiddenError(path)
        self.stack.append(self.table[path])
