"""Reading pickles without executing anything: a machine that knows plain containers and the names it is told.

A pickle is a program for a stack machine. Python's own reader imports whatever the program names and calls it. This one
imports nothing: a name stands for an entry in a table, and every opcode that is not needed for data is refused.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastnn.train.loading import LoadError

DEPTH = 200  # of containers in containers
NUMBERS = {"J": "<i", "K": "<B", "M": "<H", "G": ">d"}
LENGTHS = {  # opcodes of texts, bytes and integers: the size of the length that comes first, how to read what follows
    "X": ("<I", "text"), "\x8c": ("<B", "text"), "\x8d": ("<Q", "text"), "T": ("<I", "latin"), "U": ("<B", "latin"),
    "B": ("<I", "bytes"), "C": ("<B", "bytes"), "\x8e": ("<Q", "bytes"), "\x8a": ("<B", "integer"),
    "\x8b": ("<I", "integer"),
}  # fmt: skip
CONSTANTS = {"N": None, "\x88": True, "\x89": False}


@dataclass(frozen=True)
class Name:
    """A name in a pickle: what it stands for, and what calling it gives; None: it cannot be called."""

    name: str
    call: Callable[..., Any] | None = None
    value: Any = None


class Attributed(OrderedDict[Any, Any]):
    """An OrderedDict whose attributes, such as the `_metadata` of a state_dict, are passed over."""


MARK = object()


class Machine:
    """Runs one pickle.

    Parameters
    ----------
    content : bytes
        The pickle.
    names : mapping
        Of "module.name" to a `Name`; all others are refused.
    persistent : callable
        (what stands for it) -> an object that is kept outside of the pickle.
    """

    def __init__(self, content: bytes, names: Mapping[str, Name], persistent: Callable[[Any], Any]) -> None:
        self.content, self.names, self.persistent = content, names, persistent
        self.place = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Give the object. Raises LoadError for anything but data."""
        try:
            while True:
                code = chr(self._take(1)[0])
                if code == ".":
                    if len(self.stack) != 1:
                        raise LoadError(f"is damaged: its pickle leaves {len(self.stack)} values")
                    return self._pop()
                self._step(code)
        except (IndexError, KeyError, TypeError, ValueError, struct.error, UnicodeDecodeError, OverflowError) as error:
            if isinstance(error, LoadError):
                raise
            raise LoadError(f"is damaged: {type(error).__name__}: {error}") from error

    def _step(self, code: str) -> None:
        if code in CONSTANTS:
            self.stack.append(CONSTANTS[code])
        elif code in NUMBERS:
            self.stack.append(self._number(NUMBERS[code]))
        elif code in LENGTHS:
            self.stack.append(self._sized(*LENGTHS[code]))
        elif code in STEPS:
            STEPS[code](self)
        else:
            raise LoadError(f"is not data: its pickle has the opcode {code!r}, which only programs need")

    # --- reading

    def _take(self, count: int) -> bytes:
        found = self.content[self.place : self.place + count]
        if len(found) != count:
            raise LoadError(f"is damaged: its pickle ends within something of {count} bytes")
        self.place += count
        return found

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self.content.index(b"\n", self.place)
        text = self.content[self.place : end].decode()
        self.place = end + 1
        return text

    def _sized(self, form: str, kind: str) -> Any:
        found = self._take(self._number(form))
        if kind == "text":
            return found.decode("utf-8", "surrogatepass")
        if kind == "latin":
            return found.decode("latin-1")
        return int.from_bytes(found, "little", signed=True) if kind == "integer" else found

    # --- the stack

    def _above_mark(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise LoadError("is damaged: its pickle lacks a mark")

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise LoadError("is damaged: its pickle has a mark where a value should be")
        return value

    def _append(self, items: list[Any]) -> None:
        self._target(list).extend(items)

    def _set(self, items: list[Any]) -> None:
        self._target(dict).update(_pairs(items))

    def _add(self, items: list[Any]) -> None:
        self._target(set).update(keys(items))

    def _target(self, kind: type) -> Any:
        target = self.stack[-1]
        if not isinstance(target, kind):
            raise LoadError(f"is damaged: a {kind.__name__} was expected, not a {type(target).__name__}")
        return target

    # --- names

    def _global(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if full not in self.names:
            raise LoadError(
                f"holds {full[:100]}, which is refused: only tensors and plain containers are read. Save "
                "model.state_dict() where the file comes from"
            )
        self.stack.append(self.names[full])

    def _stacked_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise LoadError("is damaged: a name is no text")
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(name, Name) or name.call is None or not isinstance(arguments, tuple):
            found = name.name if isinstance(name, Name) else f"a {type(name).__name__}"
            raise LoadError(f"is not data: it calls {found}")
        self.stack.append(name.call(*arguments))

    def _build(self) -> None:
        self._pop()  # attributes
        if not isinstance(self.stack[-1], Attributed):
            raise LoadError(f"is not data: it sets attributes of a {type(self.stack[-1]).__name__}")

    def _remember(self, number: int) -> None:
        if self.stack[-1] is MARK:
            raise LoadError("is damaged: its pickle keeps a mark")
        self.memo[number] = self.stack[-1]

    def _tuple(self, count: int) -> None:
        items = self.stack[-count:]
        if len(items) != count or any(item is MARK for item in items):
            raise LoadError("is damaged: a tuple lacks items")
        del self.stack[-count:]
        self.stack.append(tuple(items))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise LoadError("is damaged: a dictionary has a key without a value")
    return dict(zip(keys(items[::2]), items[1::2], strict=True))


def keys(items: Iterable[Any]) -> list[Any]:
    """Give keys of a dictionary. Raises LoadError for all but texts, bytes, numbers, None and tuples of them."""
    found = list(items)
    for key in found:  # tuples in tuples could take forever to hash
        for part in key if isinstance(key, tuple) else (key,):
            if not isinstance(part, str | bytes | int | float | None):
                raise LoadError(f"is damaged: a {type(part).__name__} is no key of a dictionary")
    return found


STEPS: dict[str, Callable[[Machine], Any]] = {
    "\x80": lambda m: m._take(1),  # the protocol
    "\x95": lambda m: m._take(8),  # a frame
    "(": lambda m: m.stack.append(MARK),
    "}": lambda m: m.stack.append({}),
    "]": lambda m: m.stack.append([]),
    ")": lambda m: m.stack.append(()),
    "\x8f": lambda m: m.stack.append(set()),
    "t": lambda m: m.stack.append(tuple(m._above_mark())),
    "l": lambda m: m.stack.append(m._above_mark()),
    "d": lambda m: m.stack.append(_pairs(m._above_mark())),
    "\x85": lambda m: m._tuple(1),
    "\x86": lambda m: m._tuple(2),
    "\x87": lambda m: m._tuple(3),
    "a": lambda m: m._append([m._pop()]),
    "e": lambda m: m._append(m._above_mark()),
    "s": lambda m: m._set([m._pop(), m._pop()][::-1]),
    "u": lambda m: m._set(m._above_mark()),
    "\x90": lambda m: m._add(m._above_mark()),
    "q": lambda m: m._remember(m._number("<B")),
    "r": lambda m: m._remember(m._number("<I")),
    "\x94": lambda m: m._remember(len(m.memo)),
    "h": lambda m: m.stack.append(m.memo[m._number("<B")]),
    "j": lambda m: m.stack.append(m.memo[m._number("<I")]),
    "c": lambda m: m._global(m._line(), m._line()),
    "\x93": lambda m: m._stacked_global(),
    "R": lambda m: m._reduce(),
    "b": lambda m: m._build(),
    "Q": lambda m: m.stack.append(m.persistent(m._pop())),
}
