"""The facts of a TIFF header, read with two or three system calls and no pixel.

Only plain microscope files are understood; anything else is left to tifffile by returning None.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from operator import add
from typing import Any

#: A plane that would need more memory than this is refused, whatever its header says.
MAX_PLANE_BYTES = 1024**3
#: Longest chain of pages that is followed, and most entries of one page.
MAX_PAGES = 200_000
MAX_ENTRIES = 1024
MAX_DESCRIPTION = 4 * 1024**2

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _DESCRIPTION, _SAMPLES = 256, 257, 258, 259, 270, 277
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _FORMAT, _SUBFILE = 273, 279, 324, 325, 339, 254
_WANTED = frozenset(
    {
        *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _DESCRIPTION, _SAMPLES),
        *(_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _FORMAT, _SUBFILE),
    }
)
#: Tags of files with several planes behind one page (MetaMorph stacks, LSM), and separate colours.
_UIC_TAGS, _LSM_TAG, _PLANAR = frozenset((33628, 33629, 33630, 33631)), 34412, 284
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_KINDS = {1: "uint", 2: "int", 3: "float"}
#: TIFF compression -> the most a byte of it can grow to (LZW, deflate, PackBits).
_LARGEST_GROWTH = {1: 1, 5: 4096, 8: 1100, 32946: 1100, 32773: 128}

At = Callable[[int, int], bytes]


class TiffError(ValueError):
    """The header contradicts itself or the file's length."""


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and pixel type of every plane in a file; `samples` is 3 or 4 for colour."""

    pages: int
    height: int
    width: int
    dtype: str
    samples: int = 1


@dataclass(frozen=True, slots=True)
class TiffFacts:
    """A TIFF file's header and the description of its first page."""

    header: Header
    description: str
    is_metamorph: bool = False


def parse_tiff(descriptor: int, size: int) -> TiffFacts | None:
    """The facts of an open TIFF file of `size` bytes; None for files that tifffile must judge.

    Raises
    ------
    TiffError
        If the file is truncated, or its header claims an impossible size.
    """
    head = os.pread(descriptor, 4096, 0)

    def at(offset: int, count: int) -> bytes:
        if offset + count <= len(head):
            return head[offset : offset + count]
        if offset + count > size:
            raise TiffError(
                f"truncated: the header asks for {offset + count:,} bytes, the file has {size:,}"
            )
        return os.pread(descriptor, count, offset)

    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    (magic,) = struct.unpack_from(order + "H", head, 2)
    if magic not in (42, 43):
        return None
    big = magic == 43
    offset = (
        struct.unpack_from(order + "Q", head, 8)[0]
        if big
        else struct.unpack_from(order + "I", head, 4)[0]
    )
    seen: set[int] = set()
    first: dict[int, Any] | None = None
    pages = 0
    while offset:
        if offset in seen or len(seen) >= MAX_PAGES:
            raise TiffError(
                "the pages form a loop" if offset in seen else f"more than {MAX_PAGES:,} pages"
            )
        seen.add(offset)
        tags, offset = _page(at, offset, order, big)
        if first is None:
            first = tags
        elif int(tags.get(_SUBFILE, 0)) & 1:
            continue  # a smaller copy of the page before it
        if not _is_plain(tags):
            return None
        _check_extent(tags, size)
        pages += 1
    if first is None:
        raise TiffError("the file has no page")
    return _facts(first, pages)


def _page(at: At, offset: int, order: str, big: bool) -> tuple[dict[int, Any], int]:
    """The wanted tags of one page, and the offset of the next."""
    count_code, entry, next_code = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    count_size, entry_size, next_size = (8, 20, 8) if big else (2, 12, 4)
    (count,) = struct.unpack(order + count_code, at(offset, count_size))
    if not 0 < count <= MAX_ENTRIES:
        raise TiffError(f"a page with {count} entries")
    raw = at(offset + count_size, count * entry_size + next_size)
    tags: dict[int, Any] = {}
    for tag, kind, number, value in struct.iter_unpack(order + entry, raw[: count * entry_size]):
        if tag in _WANTED:
            tags[tag] = _value(at, order, tag, kind, number, value)
        elif tag in _UIC_TAGS:
            tags[33629] = number
        elif tag == _LSM_TAG or (tag == _PLANAR and value[:2] in (b"\2\0", b"\0\2")):
            tags[_LSM_TAG] = True
    (following,) = struct.unpack(order + next_code, raw[count * entry_size :])
    return tags, following


def _value(at: At, order: str, tag: int, kind: int, number: int, inline: bytes) -> Any:
    size = _SIZES.get(kind)
    if size is None:
        raise TiffError(f"tag {tag} has the unknown type {kind}")
    length = number * size
    if tag == _DESCRIPTION:
        length = min(length, MAX_DESCRIPTION)
    if length <= len(inline):
        data = inline[:length]
    else:
        (where,) = struct.unpack(order + ("I" if len(inline) == 4 else "Q"), inline)
        data = at(where, length)
    if tag == _DESCRIPTION:
        return data.rstrip(b"\0")
    values = struct.unpack(f"{order}{number}{_CODES[kind]}", data)
    if tag in (_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES):
        return values
    if not values:
        raise TiffError(f"tag {tag} is empty")
    return values[0]


def _is_plain(tags: dict[int, Any]) -> bool:
    """Whether one page is one plane of a common pixel type."""
    known = int(tags.get(_BITS, 1)) in (8, 16, 32, 64) and int(tags.get(_FORMAT, 1)) in _KINDS
    return known and tags.get(33629, 1) == 1 and _LSM_TAG not in tags


def _check_extent(tags: dict[int, Any], size: int) -> None:
    offsets = tags.get(_STRIPS) or tags.get(_TILES)
    counts = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES)
    if (
        not offsets
        or not counts
        or len(offsets) != len(counts)
        or _WIDTH not in tags
        or _HEIGHT not in tags
    ):
        raise TiffError("the header does not say where the pixels are")
    end = max(map(add, offsets, counts))
    if end > size:
        raise TiffError(f"truncated: the header asks for {end:,} bytes, the file has {size:,}")
    plane = tags[_WIDTH] * tags[_HEIGHT] * int(tags.get(_SAMPLES, 1)) * int(tags.get(_BITS, 1)) // 8
    if plane == 0 or plane > MAX_PLANE_BYTES:
        raise TiffError(f"a plane of {tags[_HEIGHT]:,} x {tags[_WIDTH]:,} pixels ({plane:,} bytes)")
    growth = _LARGEST_GROWTH.get(int(tags.get(_COMPRESSION, 1)))
    if growth is not None and plane > sum(counts) * growth:
        raise TiffError(
            f"the header claims {plane:,} bytes of pixels, only {sum(counts):,} are stored"
        )


def _facts(tags: dict[int, Any], pages: int) -> TiffFacts | None:
    description = tags.get(_DESCRIPTION, b"").decode("utf-8", "replace")
    if description.startswith("ImageJ=") and pages == 1 and "images=" in description:
        return None  # a stack behind one page
    bits, kind = int(tags.get(_BITS, 1)), _KINDS[int(tags.get(_FORMAT, 1))]
    if kind == "float" and bits == 8:
        return None
    header = Header(pages, tags[_HEIGHT], tags[_WIDTH], f"{kind}{bits}", int(tags.get(_SAMPLES, 1)))
    return TiffFacts(header, description, 33629 in tags)
