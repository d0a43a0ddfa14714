"""Parts of a lake in the formats of other programs: tables, images, masks, bundles."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bundle": ["differing_files", "write_bundle"],
        "files": ["outlines_of", "write_rois", "write_tiffs"],
        "napari_layers": ["add_sites"],
        "ome_zarr_plate": ["write_ome_zarr"],
        "sites": ["ExportedSite", "sites_of"],
        "tables": ["write_table"],
    },
)
