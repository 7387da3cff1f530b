"""Files of scalars that TensorBoard shows, written directly: TensorBoard need not be installed."""

from __future__ import annotations

import os
import socket
import struct
import time
from itertools import count
from pathlib import Path

_serial = count()


class EventFile:
    """A new file in `folder`, which is made, to which scalars are appended."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_serial)}"
        self._file = open(folder / name, "ab")
        self._file.write(_record(_time(time.time()) + _text(3, b"brain.Event:2")))

    def write(self, tag: str, value: float, step: int, when: float | None = None) -> None:
        """Append a value of the curve `tag`, of now or of a `time.time()`."""
        self._file.write(_record(_event(step, tag, value, time.time() if when is None else when)))

    def flush(self) -> None:
        """Hand what was written to the file system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# An event is a protocol buffer: fields of (number << 3 | kind), kind 1: 8 bytes, 5: 4 bytes, 0: an integer in groups of
# seven bits, 2: a length and as many bytes.


def _integer(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _text(field: int, content: bytes) -> bytes:
    return _integer(field << 3 | 2) + _integer(len(content)) + content


def _time(when: float) -> bytes:
    return _integer(1 << 3 | 1) + struct.pack("<d", when)


def _event(step: int, tag: str, value: float, when: float) -> bytes:
    scalar = _text(1, tag.encode()) + _integer(2 << 3 | 5) + struct.pack("<f", value)
    return _time(when) + _integer(2 << 3) + _integer(step) + _text(5, _text(1, scalar))


def _record(content: bytes) -> bytes:
    """Frame an event: its length and itself, each followed by a checksum."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """Give the masked CRC-32C: reflected, of the polynomial 0x1EDC6F41 (Castagnoli et al., 1993)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)
