"""Decode Cellomics .c01 images: four bytes, then a zlib stream of a Windows bitmap without file header.

No maintained Python library reads them. The layout: a 40-byte bitmap header (size, width, height,
planes, bits, compression, image bytes, pixels per metre in x and y), three colour masks, pixels.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phenolake.images.tiff_header import MAX_PLANE_BYTES, Header, TiffError

_BITMAP = struct.Struct("<IiiHHIIiiII")
_MASKS = 12
_MAGIC = b"\x00\x00\x00\x10"
#: Pixel types by bits per pixel.
_TYPES = {8: "uint8", 16: "uint16", 32: "uint32"}


@dataclass(frozen=True, slots=True)
class C01Facts:
    """A .c01 file's header, and the edge of a pixel in um where the file says it."""

    header: Header
    pixel_size_um: float | None


def is_c01(path: Path) -> bool:
    """Tell by its name whether a file is a Cellomics image."""
    return path.suffix.lower() == ".c01"


def read_c01_facts(path: Path) -> C01Facts:
    """Shape, pixel type and pixel size of a .c01 file; only its first bytes are decompressed.

    Raises
    ------
    TiffError
        If the file is no .c01 image or claims an impossible size.
    OSError
        If it can't be read.
    """
    with path.open("rb") as file:
        return _facts(_inflated(file.read(4096), _BITMAP.size))


def read_c01(path: Path) -> np.ndarray:
    """Pixels of a .c01 file, shape (y, x), rows in stored order.

    Raises
    ------
    TiffError
        If the file is no .c01 image, is truncated or claims an impossible size.
    """
    content = path.read_bytes()
    header = _facts(_inflated(content, _BITMAP.size)).header
    dtype = np.dtype(header.dtype)
    start = _BITMAP.size + _MASKS
    # Rows of a bitmap are padded to four bytes.
    row = -(-header.width * dtype.itemsize // 4) * 4
    data = _inflated(content, start + row * header.height)
    rows = np.frombuffer(data, np.uint8, row * header.height, start).reshape(header.height, row)
    return np.ascontiguousarray(rows[:, : header.width * dtype.itemsize]).view(dtype)


def _inflated(content: bytes, length: int) -> bytes:
    """The first `length` bytes of the stream; never more, whatever it would grow to."""
    if content[:4] != _MAGIC:
        raise TiffError("no Cellomics image: the first four bytes are not 00 00 00 10")
    try:
        data = zlib.decompressobj().decompress(content[4:], length)
    except zlib.error as error:
        raise TiffError(f"damaged: {error}") from error
    if len(data) < length:
        raise TiffError(f"truncated: {length:,} bytes expected, {len(data):,} found")
    return data


def _facts(head: bytes) -> C01Facts:
    size, width, height, planes, bits, compression, _, per_metre, *_ = _BITMAP.unpack(head)
    if size != _BITMAP.size or planes != 1 or bits not in _TYPES or compression not in (0, 3):
        raise TiffError(f"unknown bitmap header (size {size}, {planes} planes, {bits} bits)")
    if width <= 0 or height == 0 or width * abs(height) * bits // 8 > MAX_PLANE_BYTES:
        raise TiffError(f"a plane of {height:,} x {width:,} pixels")
    pixel = 1e6 / per_metre if per_metre > 0 else None
    return C01Facts(Header(1, abs(height), width, _TYPES[bits]), pixel)
