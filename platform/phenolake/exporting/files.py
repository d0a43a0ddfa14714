"""Sites as TIFF files and outlines as ImageJ ROI sets, one file per site."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from phenolake.errors import LibraryMissingError
from phenolake.exporting.sites import ExportedSite


def write_tiffs(sites: Iterable[ExportedSite], out: Path) -> int:
    """Write `<well>_s<site>.ome.tif` and `<well>_s<site>_<compartment>.tif`; returns how many sites.

    Images keep their type, axes CYX, with channel names and pixel size as OME metadata. Label
    images are uint16 (y, x) where labels allow it, else uint32. Existing files are written over.
    """
    import tifffile

    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for exported in sites:
        stem = _stem(exported)
        size = exported.pixel_size_um
        metadata: dict[str, object] = {
            "axes": "CYX",
            "Channel": {"Name": list(exported.site.channels)},
        }
        if size:
            unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
            metadata |= {"PhysicalSizeX": size, "PhysicalSizeY": size, **unit}
        tifffile.imwrite(
            out / f"{stem}.ome.tif", exported.image, metadata=metadata, compression="zlib"
        )
        for compartment, labels in exported.masks.items():
            dtype = np.uint16 if int(labels.max(initial=0)) < 2**16 else np.uint32
            path = out / f"{stem}_{compartment}.tif"
            tifffile.imwrite(path, labels.astype(dtype), compression="zlib")
        count += 1
    return count


def write_rois(sites: Iterable[ExportedSite], out: Path) -> int:
    """Write `<well>_s<site>_<compartment>.zip`, an ImageJ ROI set each; returns how many sites.

    Outlines run along the edges of pixels, so that an ROI encloses exactly its object.

    Raises
    ------
    LibraryMissingError
        If roifile is not installed.
    """
    try:
        from roifile import ImagejRoi, roiwrite
    except ImportError as error:
        raise LibraryMissingError("roifile", "an ImageJ ROI set", "export") from error
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for exported in sites:
        for compartment, labels in exported.masks.items():
            rois = [
                ImagejRoi.frompoints(points, name=f"{compartment}-{number:05d}")
                for number, points in outlines_of(labels).items()
            ]
            path = out / f"{_stem(exported)}_{compartment}.zip"
            path.unlink(missing_ok=True)
            if rois:
                roiwrite(path, rois, mode="w")
        count += 1
    return count


def outlines_of(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Outer outline of each object, int32 (point, 2), as corners (x, y) of its pixels, by number.

    Of an object in several pieces the largest piece is outlined.
    """
    from scipy.ndimage import find_objects
    from skimage.measure import find_contours

    found = {}
    for number, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        inside = np.pad(labels[box] == number, 1)
        # Twice as fine, so that the contour at one half lies on the edges of pixels.
        fine = np.kron(inside, np.ones((2, 2)))
        contour = max(find_contours(fine, 0.5), key=len)
        corners = np.round((contour + 0.5) / 2) - 1
        top, left = box[0].start, box[1].start
        points = np.column_stack([corners[:, 1] + left, corners[:, 0] + top])
        kept = np.any(np.diff(points, axis=0, prepend=points[-1:]) != 0, axis=1)
        found[number] = points[kept].astype(np.int32)
    return found


def _stem(exported: ExportedSite) -> str:
    return f"{exported.site.well}_s{exported.site.site}"
