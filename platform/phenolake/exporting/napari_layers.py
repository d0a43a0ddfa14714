"""Sites as layers of a napari viewer: an image layer per channel, a labels layer per compartment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from phenolake.exporting.sites import ExportedSite


def add_sites(viewer: Any, sites: Iterable[ExportedSite]) -> int:
    """Add each site to a viewer, in micrometres where the pixel size is known; returns how many.

    Parameters
    ----------
    viewer
        A `napari.Viewer`, or a `ViewerModel` without a window.
    sites
        Usually `sites_of` a well. All but the first are hidden at first, since they would overlap.
    """
    count = 0
    for exported in sites:
        scale = (exported.pixel_size_um or 1.0,) * 2
        shown = {"scale": scale, "visible": count == 0}
        names = [f"{exported.site.site} {channel}" for channel in exported.site.channels]
        viewer.add_image(exported.image, channel_axis=0, name=names, blending="additive", **shown)
        for name, labels in exported.masks.items():
            viewer.add_labels(labels, name=f"{exported.site.site} {name}", opacity=0.4, **shown)
        count += 1
    return count
