"""Our header reader against tifffile, and on files that lie."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phenolake.errors import ImageReadError
from phenolake.images.pixels import read_facts, read_header, read_plane
from phenolake.images.tiff_header import TiffError, parse_tiff

REUSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(folder: Path, data: np.ndarray, **options: object) -> Path:
    path = folder / "x.tif"
    tifffile.imwrite(path, data, **options)
    return path


@given(
    st.sampled_from(["uint8", "uint16", "int16", "float32", "uint32"]),
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([None, "zlib", "lzw", "packbits"]),
    st.sampled_from(["<", ">"]),
    st.booleans(),
    st.sampled_from([None, (16, 16)]),
)
@REUSE
def test_the_header_equals_tifffiles(
    tmp_path: Path, dtype, shape, compression, order, big, tile
) -> None:  # type: ignore[no-untyped-def]
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as writer:
        for plane in data:
            writer.write(
                plane,
                compression=compression,
                tile=tile,
                photometric="minisblack",
                metadata=None,
                contiguous=False,
            )
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        expected = (len(tiff.pages), page.imagelength, page.imagewidth, str(page.dtype))
    header = read_header(path)
    assert (header.pages, header.height, header.width, header.dtype) == expected
    assert (read_plane(path, shape[0] - 1) == data[-1]).all()


@given(st.data())
@REUSE
def test_damaged_bytes_give_a_header_or_one_error(tmp_path: Path, data: st.DataObject) -> None:
    path = written(
        tmp_path,
        np.ones((3, 9, 9), np.uint16),
        compression="zlib",
        description="<x/>",
        metadata=None,
    )
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        header = read_header(path)
    except ImageReadError as error:
        assert "\n" not in error.reason  # noqa: PT017
    else:
        assert header.height * header.width <= 2**30


def test_a_loop_of_pages_ends(tmp_path: Path) -> None:
    path = written(tmp_path, np.ones((4, 4), np.uint16))
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match="loop"):
        read_header(path)


def test_a_header_that_claims_more_pixels_than_are_stored_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, np.ones((8, 8), np.uint16))
    content = path.read_bytes()
    for claimed, words in ((60_000, "claims|plane of"), (2**31 - 1, "plane of")):
        lying = content.replace(
            struct.pack("<HHII", 256, 4, 1, 8), struct.pack("<HHII", 256, 4, 1, claimed)
        )
        assert lying != content
        path.write_bytes(lying)
        with pytest.raises(ImageReadError, match=words):
            read_header(path)


def test_truncation_is_found_in_compressed_and_plain_files(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 9999, (50, 50), np.uint16)
    for compression in (None, "zlib"):
        path = written(tmp_path, data, compression=compression)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ImageReadError, match="truncated"):
            read_header(path)


def test_links_are_not_opened(tmp_path: Path) -> None:
    path = written(tmp_path, np.ones((4, 4), np.uint16))
    (tmp_path / "link.tif").symlink_to(path)
    with pytest.raises(ImageReadError):
        read_facts(tmp_path / "link.tif")


def test_a_file_that_is_no_tiff_is_left_to_tifffile(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"II*\0\xff\xff\xff\x7f")
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(TiffError, match="truncated"):
        parse_tiff(descriptor, 8)
    path.write_bytes(b"no tiff at all")
    assert parse_tiff(descriptor, 14) is None
    os.close(descriptor)


@given(st.binary(max_size=300))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_under_any_image_name_are_one_error(tmp_path: Path, content: bytes) -> None:
    for name in ("x.tif", "x.png", "x.c01", "x.stk"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageReadError):
            read_header(tmp_path / name)


def test_colours_become_their_luminance(tmp_path: Path) -> None:
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[0, 0] = (255, 0, 0)
    path = written(tmp_path, colour, photometric="rgb")
    assert read_header(path).samples == 3
    assert read_plane(path).tolist() == [[76, 0], [0, 0]]
