"""Read image headers and pixels: TIFF by tifffile, PNG by imagecodecs.

A header is checked against the file's length, so that a truncated copy is found without decoding.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phenolake.errors import ImageReadError

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".png"})

#: A plane that would need more memory than this is refused, whatever its header says.
MAX_PLANE_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and pixel type of every plane in a file."""

    pages: int
    height: int
    width: int
    dtype: str


def is_image(path: Path) -> bool:
    """Tell by its name whether a file may be an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(("_", "."))


def read_header(path: Path) -> Header:
    """Shape, pixel type and number of planes of an image file, without decoding pixels.

    Raises
    ------
    ImageReadError
        If the file is empty, truncated, of an unknown kind, or no single-channel image.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise ImageReadError(str(path), "the file is empty")
        if path.suffix.lower() == ".png":
            plane = _read_png(path)
            return Header(1, plane.shape[0], plane.shape[1], str(plane.dtype))
        return _read_tiff_header(path, size)
    except ImageReadError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise ImageReadError(str(path), f"not readable as an image: {_first_line(error)}") from error


def read_plane(path: Path, index: int = 0) -> np.ndarray:
    """Pixels of one plane, shape (y, x), dtype as stored.

    Raises
    ------
    ImageReadError
        If the file can't be decoded or has no such plane.
    """
    import tifffile

    try:
        if path.suffix.lower() == ".png":
            return _read_png(path)
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[index]
            if page.nbytes > MAX_PLANE_BYTES:
                raise ImageReadError(str(path), f"a plane of {page.nbytes:,} bytes is too large")
            plane = page.asarray()
    except ImageReadError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise ImageReadError(str(path), f"pixels can't be decoded: {_first_line(error)}") from error
    return _grey(plane, path)


def file_checksum(path: Path) -> str:
    """CRC-32 of the file's bytes, as `crc32:<8 hex digits>`."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return f"crc32:{value:08x}"


def _read_tiff_header(path: Path, size: int) -> Header:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        first: Any = tiff.pages[0]
        ends = [
            offset + count for offset, count in zip(first.dataoffsets, first.databytecounts, strict=True)
        ]
        if ends and max(ends) > size:
            raise ImageReadError(
                str(path), f"truncated: the header asks for {max(ends):,} bytes, the file has {size:,}"
            )
        if first.nbytes > MAX_PLANE_BYTES:
            raise ImageReadError(str(path), f"a plane of {first.nbytes:,} bytes is too large")
        if first.samplesperpixel != 1:
            raise ImageReadError(str(path), f"expected one sample per pixel, got {first.samplesperpixel}")
        return Header(len(tiff.pages), first.imagelength, first.imagewidth, str(np.dtype(first.dtype)))


def _read_png(path: Path) -> np.ndarray:
    import imagecodecs

    return _grey(imagecodecs.png_decode(path.read_bytes()), path)


def _grey(plane: np.ndarray, path: Path) -> np.ndarray:
    if plane.ndim == 2:
        return plane
    if plane.ndim == 3 and plane.shape[2] in (3, 4) and (plane[..., :1] == plane[..., :3]).all():
        return plane[..., 0]  # grey stored as three equal colours
    raise ImageReadError(str(path), f"expected a grey image (y, x), got shape {plane.shape}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
