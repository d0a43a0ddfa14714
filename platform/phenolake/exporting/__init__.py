"""Parts of a lake in the formats of other programs: tables, images, masks, bundles."""

from __future__ import annotations

import importlib

_MODULE_OF = {
    "ExportedSite": "sites",
    "add_sites": "napari_layers",
    "differing_files": "bundle",
    "outlines_of": "files",
    "sites_of": "sites",
    "write_bundle": "bundle",
    "write_ome_zarr": "ome_zarr_plate",
    "write_rois": "files",
    "write_table": "tables",
    "write_tiffs": "files",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]
