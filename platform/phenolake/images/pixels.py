"""Read image headers and pixels: TIFF, PNG, Cellomics .c01 and planes of OME-Zarr arrays.

A header is checked against the file's length, so that a truncated copy is found without decoding.
"""

from __future__ import annotations

import logging
import os
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phenolake.errors import ImageReadError
from phenolake.images.c01 import is_c01, read_c01, read_c01_facts
from phenolake.images.tiff_header import MAX_PLANE_BYTES, Header, TiffFacts, parse_tiff

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".c01", ".stk"})

_CHUNK = 1 << 20
#: PNG colour type -> samples per pixel; a palette is decoded to three colours.
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def is_image(path: Path) -> bool:
    """Tell by its name whether a file may be an image."""
    return is_image_name(path.name)


def is_image_name(name: str) -> bool:
    """Tell whether a file of this name may be an image."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES and name[0] not in "_."


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of an image file without its pixels; `checksum` only where it was asked for."""

    header: Header
    bytes: int
    checksum: str | None = None
    description: str = ""
    is_metamorph: bool = False
    pixel_size_um: float | None = None

    def without_description(self) -> FileFacts:
        """The same facts in little memory."""
        return replace(self, description="")


def read_facts(path: Path, checksum: bool = False) -> FileFacts:
    """Header, length and description of an image file, and the CRC-32 of its bytes if asked.

    Raises
    ------
    ImageReadError
        If the file is empty, truncated, missing or of an unknown kind.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            size = os.fstat(descriptor).st_size
            if size == 0:
                raise ImageReadError(str(path), "the file is empty")
            pixel_size, description, metamorph = None, "", False
            suffix = path.suffix.lower()
            if suffix == ".png":
                header = _png_header(descriptor, size)
            elif suffix == ".c01":
                facts = read_c01_facts(path)
                header, pixel_size = facts.header, facts.pixel_size_um
            else:
                tiff = parse_tiff(descriptor, size) or _tiff_facts(path, size)
                header, description, metamorph = tiff.header, tiff.description, tiff.is_metamorph
            value = _crc32(descriptor) if checksum else None
        finally:
            os.close(descriptor)
    except ImageReadError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise ImageReadError(
            str(path), f"not readable as an image: {_first_line(error)}"
        ) from error
    return FileFacts(header, size, value, description, metamorph, pixel_size)


def read_header(path: Path) -> Header:
    """Shape, pixel type and number of planes of an image file, without decoding pixels.

    Raises
    ------
    ImageReadError
        If the file is empty, truncated, missing or of an unknown kind.
    """
    return read_facts(path).header


def read_plane(path: Path, index: int = 0) -> np.ndarray:
    """Pixels of one plane, shape (y, x), dtype as stored; colours become their luminance.

    Raises
    ------
    ImageReadError
        If the file can't be decoded or has no such plane.

    References
    ----------
    Luminance: ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, rounded for integer pixels.
    """
    try:
        if path.suffix.lower() == ".png":
            plane = _read_png(path)
        elif is_c01(path):
            plane = read_c01(path)
        elif path.is_dir():
            plane = _read_zarr(path, index)
        else:
            plane = _read_tiff(path, index)
    except ImageReadError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise ImageReadError(str(path), f"pixels can't be decoded: {_first_line(error)}") from error
    return _grey(plane, path)


def file_checksum(path: Path) -> str:
    """CRC-32 of the file's bytes, as `crc32:<8 hex digits>`."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        return _crc32(descriptor)
    finally:
        os.close(descriptor)


def _crc32(descriptor: int) -> str:
    # zlib-ng's CRC uses the processor's carry-less multiply: reading is what takes the time.
    from imagecodecs import zlibng_crc32

    value, offset, size = 0, 0, os.fstat(descriptor).st_size
    while chunk := os.pread(descriptor, min(_CHUNK, size - offset), offset):
        value = zlibng_crc32(chunk, value)
        offset += len(chunk)
    return f"crc32:{value:08x}"


def _tifffile() -> Any:
    """The library without its log: damage is an error of ours, said once."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    return tifffile


def _tiff_facts(path: Path, size: int) -> TiffFacts:
    """The facts of a TIFF kind that our own header reader leaves to tifffile."""
    tifffile = _tifffile()
    with tifffile.TiffFile(path) as tiff:
        first: Any = tiff.pages[0]
        ends = [
            offset + count
            for offset, count in zip(first.dataoffsets, first.databytecounts, strict=True)
        ]
        if not ends or first.dtype is None:
            raise ImageReadError(str(path), "the header does not say where the pixels are")
        if max(ends) > size:
            raise ImageReadError(
                str(path),
                f"truncated: the header asks for {max(ends):,} bytes, the file has {size:,}",
            )
        if first.nbytes > MAX_PLANE_BYTES:
            raise ImageReadError(str(path), f"a plane of {first.nbytes:,} bytes is too large")
        pages = max(len(tiff.pages), _stacked_planes(tiff, first))
        dtype = str(np.dtype(first.dtype))
        header = Header(pages, first.imagelength, first.imagewidth, dtype, first.samplesperpixel)
        return TiffFacts(header, first.description or "", tiff.is_stk)


def _stacked_planes(tiff: Any, first: Any) -> int:
    """Planes behind the one page of a MetaMorph or ImageJ stack, if they lie in the file."""
    if len(tiff.pages) > 1 or not (tiff.is_stk or tiff.is_imagej):
        return 1
    series = tiff.series[0]
    if series.dataoffset is None or series.dataoffset + series.nbytes > tiff.filehandle.size:
        return 1
    return int(series.nbytes // first.nbytes)


def _read_tiff(path: Path, index: int) -> np.ndarray:
    tifffile = _tifffile()
    with tifffile.TiffFile(path) as tiff:
        first: Any = tiff.pages[0]
        if index >= len(tiff.pages) and index < _stacked_planes(tiff, first):
            offset = tiff.series[0].dataoffset + index * first.nbytes
            dtype = np.dtype(first.dtype).newbyteorder(tiff.byteorder)
            flat = np.fromfile(path, dtype, first.imagelength * first.imagewidth, offset=offset)
            return flat.reshape(first.imagelength, first.imagewidth).astype(first.dtype)
        page: Any = tiff.pages[index]
        if page.nbytes > MAX_PLANE_BYTES:
            raise ImageReadError(str(path), f"a plane of {page.nbytes:,} bytes is too large")
        return page.asarray()


def _read_zarr(path: Path, index: int) -> np.ndarray:
    import zarr

    from phenolake.images.zarr_store import OwnFilesStore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array: Any = zarr.open_array(OwnFilesStore(path, read_only=True), mode="r")
    height, width = array.shape[-2:]
    if height * width * array.dtype.itemsize > MAX_PLANE_BYTES:
        raise ImageReadError(str(path), f"a plane of {height:,} x {width:,} pixels is too large")
    return np.asarray(array[np.unravel_index(index, array.shape[:-2]) if array.ndim > 2 else ...])


def _png_header(descriptor: int, size: int) -> Header:
    head = os.pread(descriptor, 33, 0)
    if len(head) < 33 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        raise ValueError("no PNG header")
    width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
    if b"IEND" not in os.pread(descriptor, 64, max(0, size - 64)):
        raise ValueError("truncated: the end mark is missing")
    if colour not in _PNG_SAMPLES or depth > 16 or not 0 < width * height * 2 <= MAX_PLANE_BYTES:
        raise ValueError(f"a plane of {height:,} x {width:,} pixels, colour type {colour}")
    return Header(1, height, width, "uint16" if depth == 16 else "uint8", _PNG_SAMPLES[colour])


def _read_png(path: Path) -> np.ndarray:
    import imagecodecs

    data = path.read_bytes()
    with path.open("rb") as file:
        _png_header(file.fileno(), len(data))  # refuses a plane that memory could not hold
    return imagecodecs.png_decode(data)


def _grey(plane: np.ndarray, path: Path) -> np.ndarray:
    if plane.ndim == 2:
        return plane
    if plane.ndim != 3 or plane.shape[2] not in (3, 4):
        raise ImageReadError(str(path), f"expected an image (y, x), got shape {plane.shape}")
    if (plane[..., :1] == plane[..., :3]).all():
        return plane[..., 0]  # grey stored as three equal colours
    luminance = plane[..., :3].astype(np.float64) @ (0.299, 0.587, 0.114)
    whole = np.issubdtype(plane.dtype, np.integer)
    return (np.rint(luminance) if whole else luminance).astype(plane.dtype)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
