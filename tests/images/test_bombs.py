"""Small files that claim or unpack to gigabytes are refused, or read, in little memory and time."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenolake.errors import ImageReadError, ModelFileError, ScreenConfigError
from phenolake.importing.cellpose_seg import read_cellpose_seg
from phenolake.modeling.weights import read_model
from phenolake.profiling import FittedRecipe
from phenolake.screens.discover import Screen
from phenolake.segmentation.compact_weights import read_compact

READ = """
import resource, sys
from pathlib import Path
from phenolake.errors import PhenolakeError
from phenolake.images.pixels import read_facts, read_plane
from phenolake.screens.discover import Screen
from phenolake.screens.plate_map_files import _sheets
path = Path(sys.argv[1])
tries = {".xlsx": [lambda p: list(_sheets(p))], "": [Screen.open]}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in tries.get(path.suffix, [read_facts, read_plane]):
    try:
        read(path)
    except PhenolakeError as error:
        print(str(error).replace(chr(10), "|"))
used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
print("MB", used)
"""


def zeros(megabytes: int) -> bytes:
    """A zlib stream of a thousandth of the size that it unpacks to."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(path: Path, width: int, height: int, *chunks: bytes) -> Path:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")
    )
    return path


def tiff_whose_strip_unpacks_to(path: Path, megabytes: int) -> Path:
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        places = [tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")]
    data, bomb = bytearray(path.read_bytes()), zeros(megabytes)
    for place, value in zip(places, (len(data), len(bomb)), strict=True):
        data[place : place + 4] = struct.pack("<I", value)
    path.write_bytes(bytes(data) + bomb)
    return path


def tiff_that_claims(path: Path, edge: int) -> Path:
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = tiff.pages[0].tags[name]
            tiff.filehandle.seek(tag.valueoffset)
            tiff.filehandle.write(struct.pack("<I" if tag.dtype == 4 else "<H", edge))
    return path


def workbook(path: Path, megabytes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(megabytes << 20))
    return path


def laughing_yaml(folder: Path) -> Path:
    folder.mkdir()
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, two in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]")
    (folder / "screen.yaml").write_text("\n".join(lines))
    return folder


def running_yaml(folder: Path) -> Path:
    folder.mkdir()
    text = f"name: !!python/object/apply:os.system ['touch {folder}/ran']\n"
    (folder / "screen.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("make", "name", "refused"),
    [
        (lambda p: tiff_whose_strip_unpacks_to(p, 400), "strip.tif", "can't be decoded"),
        (lambda p: tiff_that_claims(p, 60_000), "claim.tif", "too large|readable|truncated"),
        (lambda p: png(p, 64, 64, chunk(b"IDAT", zeros(400))), "idat.png", ""),
        (lambda p: png(p, 60_000, 60_000, chunk(b"IDAT", zeros(9))), "claim.png", "60,000"),
        (lambda p: workbook(p, 300), "map.xlsx", "too large"),
        (laughing_yaml, "laughing", "not permitted"),
        (running_yaml, "running", "screen.yaml"),
    ],
    ids=["strip", "tiff", "idat", "png", "xlsx", "yaml", "yaml tag"],
)
def test_a_bomb_takes_little_memory(tmp_path, make, name, refused):
    path = make(tmp_path / name)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *sentences, memory = process.stdout.splitlines()
    assert int(memory.split()[1]) < 150
    assert bool(sentences) == bool(refused)
    assert all(re.search(refused, sentence) for sentence in sentences)
    assert not (path / "ran").exists()


DEEP = "[" * 100_000 + "]" * 100_000


def safetensors(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def tensor(shape: list[int], end: int) -> bytes:
    about = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    return safetensors(json.dumps(about).encode(), bytes(4))


@pytest.mark.parametrize(
    "content",
    [
        safetensors(b"{}", length=2**63),
        safetensors(b"{}", length=90 << 20),
        safetensors(f'{{"a": {DEEP}}}'.encode()),
        safetensors(json.dumps({"__metadata__": {"phenolake": DEEP}}).encode()),
        tensor([2**40, 2**40], 4),
        tensor([2**30], 2**32),
    ],
    ids=["length", "header", "deep", "deep text", "shape", "offsets"],
)
def test_weights_whose_header_lies_are_one_sentence(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for read in (FittedRecipe.load, read_compact):
        with pytest.raises(ModelFileError) as refusal:
            read(path)
        assert "\n" not in str(refusal.value)
        assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("text", [DEEP, f'{{"format": {DEEP}}}', '{"format": ' + "9" * 5000 + "}"])
def test_a_description_of_a_model_that_no_parser_can_hold_is_one_sentence(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    (tmp_path / "model.safetensors").write_bytes(safetensors(b"{}"))
    with pytest.raises(ModelFileError, match="not a usable model"):
        read_model(tmp_path)


@pytest.mark.parametrize("value", ["9" * 6000, DEEP, "{a: " * 5000 + "1" + "}" * 5000])
def test_yaml_that_no_parser_can_hold_is_one_sentence(tmp_path, value):
    (tmp_path / "screen.yaml").write_text(f"wells: {value}")
    with pytest.raises(ScreenConfigError, match="not readable as YAML"):
        Screen.open(tmp_path)


def test_a_mask_that_claims_more_than_its_file_holds_is_refused(tmp_path):
    header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (1000000, 1000000)}\n"
    path = tmp_path / "a_seg.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(ImageReadError, match="truncated"):
        read_cellpose_seg(path)
