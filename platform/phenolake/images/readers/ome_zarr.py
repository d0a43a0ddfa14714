"""Reader for OME-Zarr plates (HCS, OME-NGFF 0.4 and 0.5), from their JSON metadata alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from phenolake.errors import WellNameError
from phenolake.identity import Well
from phenolake.images.pixels import FileFacts
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import MAX_DEPTH, Detection, Reader, entries_of, format_of
from phenolake.images.readers.references import relative_parts
from phenolake.images.tiff_header import MAX_PLANE_BYTES, Header

MAX_JSON = 16 * 1024**2
MAX_PLANES = 10_000_000
_TO_UM = {"micrometer": 1.0, "micron": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


def store_of(folder: Path) -> Path | None:
    """The plate's Zarr store: the folder itself, or the one below it."""
    for place in (
        folder,
        *(Path(e.path) for e in entries_of(folder) if e.is_dir(follow_symlinks=False)),
    ):
        if "plate" in attributes_of(place):
            return place
    return None


class OmeZarr(Reader):
    """Planes of a plate's multiscale images at full resolution; `index_in_file` counts (t, c, z)."""

    name = "ome_zarr"

    def detect(self, folder: Path) -> Detection | None:
        """Look for plate metadata."""
        store = store_of(folder)
        return Detection(self.name, 1.0, f"OME-Zarr plate {store.name}") if store else None

    def plate_wells(self, folder: Path) -> int | None:
        """Wells by the plate's rows and columns."""
        store = store_of(folder)
        plate = attributes_of(store)["plate"] if store else None
        if not isinstance(plate, dict):
            return None
        rows, columns = plate.get("rows"), plate.get("columns")
        if not isinstance(rows, list) or not isinstance(columns, list):
            return None
        return format_of(len(rows), len(columns))

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes of every well; wells and images without an array are problems."""
        store = store_of(folder)
        plate = attributes_of(store)["plate"] if store else {}
        if store is None or not isinstance(plate, dict):
            return
        for entry in plate.get("wells") or []:
            try:
                well = Well.checked(int(entry["rowIndex"]) + 1, int(entry["columnIndex"]) + 1)
                yield from _well(store, _inside(store, entry["path"]), well)
            except (WellNameError, KeyError, TypeError, ValueError, OverflowError) as error:
                got = f"{type(error).__name__}: {error}"
                yield _bad(store, "a well with path, rowIndex and columnIndex", got)


def attributes_of(group: Path) -> dict[str, Any]:
    """OME attributes of a Zarr group (either version); empty where there are none."""
    found = _json(group / "zarr.json") or {}
    attributes = found.get("attributes")
    if isinstance(attributes, dict):
        ome = attributes.get("ome")
        return ome if isinstance(ome, dict) else attributes
    return _json(group / ".zattrs") or {}


def _well(store: Path, folder: Path, well: Well) -> Iterator[Plane | Problem]:
    listed = attributes_of(folder).get("well")
    images = listed.get("images") if isinstance(listed, dict) else None
    if not images:
        yield _absent(folder, well, None, "a well group with images")
        return
    for number_of, image in enumerate(images, start=1):
        try:
            yield from _image(store, _inside(folder, str(image["path"])), well, number_of)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            yield _bad(
                folder, "a multiscale image", f"{type(error).__name__}: {error}", well, number_of
            )


def _image(store: Path, folder: Path, well: Well, site: int) -> Iterator[Plane | Problem]:
    found = attributes_of(folder)
    if "multiscales" not in found:
        yield _absent(folder, well, site, "an image group")
        return
    scales = found["multiscales"][0]
    level = scales["datasets"][0]
    array = _inside(folder, str(level["path"]))
    shape, dtype = _array(array)
    axes = [axis["name"] if isinstance(axis, dict) else axis for axis in scales["axes"]]
    if len(axes) != len(shape) or axes[-2:] != ["y", "x"] or not set(axes) <= set("tczyx"):
        raise ValueError(f"axes {axes} of an array of shape {shape}")
    scale = next(
        (
            t["scale"]
            for t in level.get("coordinateTransformations", [])
            if t.get("type") == "scale"
        ),
        None,
    )
    um = (
        dict(
            zip(axes, (_um(a, s) for a, s in zip(scales["axes"], scale, strict=True)), strict=True)
        )
        if scale
        else {}
    )
    labels = [
        c.get("label")
        for c in (found.get("omero") or {}).get("channels", [])
        if isinstance(c, dict)
    ]
    sizes = dict(zip(axes, shape, strict=True))
    planes = prod(shape[:-2])
    if planes > MAX_PLANES or shape[-1] * shape[-2] * 8 > 8 * MAX_PLANE_BYTES:
        raise ValueError(f"an array of shape {shape}")
    facts = FileFacts(Header(planes, shape[-2], shape[-1], dtype), folder_bytes(array))
    outer = axes[:-2]
    for index in range(planes):
        rest, at = index, {}
        for axis in reversed(outer):
            rest, at[axis] = divmod(rest, sizes[axis])
        channel = at.get("c", 0)
        name = labels[channel] if channel < len(labels) else None
        yield Plane(
            array,
            well,
            site,
            str(name or channel),
            at.get("z", 0),
            at.get("t", 0),
            index,
            pixel_size_um=um.get("x"),
            z_step_um=um.get("z"),
            facts=facts,
        )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below an array's folder."""
    total, pending = 0, [(folder, 0)]
    while pending:
        current, depth = pending.pop()
        for entry in entries_of(current):
            if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                pending.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _array(folder: Path) -> tuple[tuple[int, ...], str]:
    """Shape and pixel type of an array, from either version's metadata."""
    import numpy as np

    found = _json(folder / "zarr.json") or _json(folder / ".zarray")
    if found is None:
        raise ValueError(f"no array {folder.name}")
    shape = tuple(int(size) for size in found["shape"])
    dtype = np.dtype(str(found.get("data_type") or found.get("dtype"))).newbyteorder("=")
    if len(shape) < 2 or min(shape) < 1 or dtype.kind not in "uif":
        raise ValueError(f"an array of shape {shape} and type {dtype}")
    return shape, str(dtype)


def _um(axis: Any, scale: Any) -> float | None:
    unit = axis.get("unit") if isinstance(axis, dict) else None
    factor = _TO_UM.get(unit or "")
    return float(scale) * factor if factor else None


def _json(path: Path) -> dict[str, Any] | None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  (opened without following links)
            found = json.loads(file.read(MAX_JSON))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _inside(folder: Path, relative: str) -> Path:
    parts = relative_parts(str(relative))
    if parts is None:
        raise ValueError(f"path {relative!r} leaves the plate")
    path = folder.joinpath(*parts)
    if any(
        p.is_symlink() for p in (path, *path.parents) if p.is_relative_to(folder) and p != folder
    ):
        raise ValueError(f"path {relative!r} is a link")
    return path


def _bad(
    folder: Path, expected: str, got: str, well: Well | None = None, site: int | None = None
) -> Problem:
    return Problem(
        "bad_index_entry",
        "Write the plate again with a current OME-Zarr writer.",
        uri=str(folder),
        well=well.name if well else None,
        site=site,
        expected=expected,
        got=got[:300],
    )


def _absent(folder: Path, well: Well, site: int | None, expected: str) -> Problem:
    return Problem(
        "missing_plane",
        "Copy the plate again.",
        uri=str(folder),
        well=well.name,
        site=site,
        expected=expected,
        got="none",
    )
