"""What notebooks show: tables, and tensors of images as pictures."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SMALLEST, LARGEST = 8, 1024  # rows and columns of what is taken for an image
MOST = 16  # images of a batch that are shown
WIDTH = 96  # pixels on the screen that a small image gets at least


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]], foot: str = "") -> str:
    """Write a table as HTML; all but the first column is aligned to the right."""

    def line(cells: Sequence[Any], kind: str) -> str:
        written = [
            f'<{kind} style="text-align:{"right" if i else "left"}">{_text(c)}</{kind}>' for i, c in enumerate(cells)
        ]
        return f"<tr>{''.join(written)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    end = f"<p>{_text(foot)}</p>" if foot else ""
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>{end}"


def _text(value: Any) -> str:
    return html.escape(str(value)).replace("  ", "&nbsp;&nbsp;")


def images(array: Array, name: str = "Tensor") -> str | None:
    """Write an array of images as HTML; None if it holds something else.

    Images are (C, H, W) or (B, C, H, W) with 1 or 3 channels, bytes or numbers in 0 .. 1, of 8 to 1024 rows and
    columns.
    """
    shape = array.shape
    if array.ndim not in (3, 4) or shape[-3] not in (1, 3) or array.dtype.kind not in "uf" or not array.size:
        return None
    if not (SMALLEST <= shape[-2] <= LARGEST and SMALLEST <= shape[-1] <= LARGEST):
        return None
    if array.dtype.kind == "u" and array.dtype.itemsize != 1:
        return None
    shown = array[None] if array.ndim == 3 else array[:MOST]
    if array.dtype.kind == "f":
        if not (shown.min() >= 0 and shown.max() <= 1):  # nan neither
            return None
        shown = np.rint(shown.astype(np.float64) * 255).astype(np.uint8)
    width = max(shape[-1], min(WIDTH, 4 * shape[-1]))
    style = f"image-rendering:pixelated;width:{width}px;margin:2px"
    pictures = [
        f'<img style="{style}" src="data:image/png;base64,{base64.b64encode(png(image)).decode()}">' for image in shown
    ]
    left = f", the first {MOST}" if array.ndim == 4 and len(array) > MOST else ""
    return f"<div>{''.join(pictures)}</div><div>{name} of shape {tuple(shape)}, {array.dtype}{left}</div>"


def png(image: Array) -> bytes:
    """Write bytes (C, H, W) of 1 or 3 channels as a PNG file."""
    channels, height, width = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = image.transpose(1, 2, 0).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
