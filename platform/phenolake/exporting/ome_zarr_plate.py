"""A plate as OME-Zarr (HCS layout, OME-NGFF 0.4) with its label images."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from phenolake.errors import ConfigurationError
from phenolake.exporting.sites import ExportedSite
from phenolake.identity import PLATE_FORMATS, Well, row_letters, smallest_format
from phenolake.pictures.composite import PSEUDO_COLOURS, colours_for

_VERSION = "0.4"
_SMALLEST = 256  # pixels; pyramids end there
_CHUNK = 1024


def write_ome_zarr(sites: Iterable[ExportedSite], out: Path, name: str) -> int:
    """Write sites to a new folder `out`; returns how many.

    Pixels keep their type. Each level of a pyramid averages two by two pixels of the one before;
    label images take every second pixel. An interrupted export leaves nothing at `out`.

    Raises
    ------
    ConfigurationError
        If `out` exists.

    References
    ----------
    OME-NGFF 0.4, https://ngff.openmicroscopy.org/0.4/.
    """
    import zarr

    if out.exists():
        raise ConfigurationError(f"{out} exists; name a folder that does not")
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    count = 0
    fields: dict[Well, int] = {}
    try:
        plate = zarr.open_group(str(draft), mode="w", zarr_format=2)
        for exported in sites:
            well = Well.parse(exported.site.well)
            number = fields.get(well, 0)
            fields[well] = number + 1
            path = f"{row_letters(well.row)}/{well.column}"
            group = plate.require_group(path)
            images = [{"path": str(i), "acquisition": 0} for i in range(number + 1)]
            group.attrs["well"] = {"images": images, "version": _VERSION}
            _write_site(group.create_group(str(number)), exported)
            count += 1
        plate.attrs["plate"] = _plate(list(fields), max(fields.values(), default=0), name)
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return count


def _plate(wells: list[Well], fields: int, name: str) -> dict[str, Any]:
    # All rows and columns of the format, so that a reader knows where on the plate a well is.
    rows, columns = PLATE_FORMATS[smallest_format(wells)]
    return {
        "name": name,
        "version": _VERSION,
        "field_count": fields,
        "acquisitions": [{"id": 0, "maximumfieldcount": fields}],
        "rows": [{"name": row_letters(row)} for row in range(1, rows + 1)],
        "columns": [{"name": str(column)} for column in range(1, columns + 1)],
        "wells": [
            {
                "path": f"{row_letters(well.row)}/{well.column}",
                "rowIndex": well.row - 1,
                "columnIndex": well.column - 1,
            }
            for well in sorted(wells)
        ],
    }


def _write_site(group: Any, exported: ExportedSite) -> None:
    size = exported.pixel_size_um or 1.0
    pyramid = _write_pyramid(group, exported.image, size, _halved)
    group.attrs["multiscales"] = pyramid
    colours = colours_for(len(exported.site.channels))
    top = np.iinfo(exported.image.dtype).max if exported.image.dtype.kind == "u" else 1
    group.attrs["omero"] = {
        "version": _VERSION,
        "channels": [
            {
                "label": role,
                "color": "{:02X}{:02X}{:02X}".format(*PSEUDO_COLOURS[colour]),
                "active": True,
                "window": {
                    "min": 0, "max": int(top), "start": float(np.percentile(plane, 1)),
                    "end": float(np.percentile(plane, 99.8)),
                },
            }
            for role, colour, plane in zip(
                exported.site.channels, colours, exported.image, strict=True
            )
        ],
    }  # fmt: skip
    if not exported.masks:
        return
    labels = group.create_group("labels")
    labels.attrs["labels"] = sorted(exported.masks)
    for name, mask in exported.masks.items():
        part = labels.create_group(name)
        part.attrs["multiscales"] = _write_pyramid(part, mask[None].astype(np.int32), size, _every)
        part.attrs["image-label"] = {"version": _VERSION, "source": {"image": "../../"}}


def _write_pyramid(
    group: Any, image: np.ndarray, size: float, smaller: Any
) -> list[dict[str, Any]]:
    from numcodecs import Blosc

    datasets, level = [], 0
    while True:
        group.create_array(
            str(level),
            data=image,
            chunks=(1, min(_CHUNK, image.shape[1]), min(_CHUNK, image.shape[2])),
            compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        scale = [1.0, size * 2**level, size * 2**level]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
        if max(image.shape[1:]) <= _SMALLEST:
            break
        image, level = smaller(image), level + 1
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    axes = [{"name": "c", "type": "channel"}, *space]
    return [{"version": _VERSION, "axes": axes, "datasets": datasets, "name": "image"}]


def _halved(image: np.ndarray) -> np.ndarray:
    _, height, width = image.shape
    even = image[:, : height - height % 2, : width - width % 2].astype(np.float32)
    blocks = even.reshape(image.shape[0], height // 2, 2, width // 2, 2)
    mean = blocks.mean(axis=(2, 4))
    whole = np.issubdtype(image.dtype, np.integer)
    return (np.rint(mean) if whole else mean).astype(image.dtype)


def _every(labels: np.ndarray) -> np.ndarray:
    return labels[:, : labels.shape[1] // 2 * 2 : 2, : labels.shape[2] // 2 * 2 : 2]
