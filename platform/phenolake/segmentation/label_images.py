"""Label images: per-object sums, holes filled, numbers made 1..n in raster order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.int32]


def renumber(labels: Labels) -> Labels:
    """Number the objects 1..n by their first pixel in raster order; int32 (y, x)."""
    flat = labels.ravel()
    present = np.flatnonzero(flat)
    names, first = np.unique(flat[present], return_index=True)
    lookup = np.zeros(int(flat.max(initial=0)) + 1, np.int32)
    lookup[names[np.argsort(first, kind="stable")]] = np.arange(1, names.size + 1)
    return lookup[labels]


def keep(labels: Labels, kept: NDArray[np.bool_]) -> Labels:
    """Drop objects; `kept` is bool, indexed by label (entry 0 is the background)."""
    lookup = np.where(kept, np.arange(kept.size), 0).astype(np.int32)
    lookup[0] = 0
    return lookup[labels]


def areas(labels: Labels) -> NDArray[np.int64]:
    """Pixels of each label, int64, indexed by label (entry 0 is the background)."""
    return np.bincount(labels.ravel())


def object_means(labels: Labels, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of `image` over each label, float64, indexed by label; 0 for absent labels."""
    sums = np.bincount(labels.ravel(), weights=image.ravel())
    return sums / np.maximum(areas(labels), 1)


def plateau_levels(labels: Labels, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of each object's brighter pixels (those above its own mean), indexed by label."""
    flat = labels.ravel()
    means = object_means(labels, image)
    bright = image.ravel() >= means[flat]
    chosen = flat[bright]
    counts = np.bincount(chosen, minlength=means.size)
    return np.bincount(chosen, image.ravel()[bright], means.size) / np.maximum(counts, 1)


def fill_holes(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    """Fill holes of up to `largest` pixels that do not touch the image border."""
    holes, count = ndimage.label(~mask)
    if count == 0:
        return mask
    size = np.bincount(holes.ravel())
    fill = size <= largest
    fill[0] = False
    border = np.concatenate((holes[0], holes[-1], holes[:, 0], holes[:, -1]))
    fill[border] = False
    return mask | fill[holes]


def largest_pieces(labels: Labels) -> Labels:
    """Keep each object's largest 8-connected piece, so that one number is one region."""
    from skimage.measure import label

    pieces = label(labels, connectivity=2)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(size.size, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    if np.unique(owner).size == owner.size:
        return labels
    # Largest first, raster order between equals; the first piece of each owner stays.
    order = np.lexsort((np.arange(size.size), -size, owner))
    first = np.ones(order.size, bool)
    first[1:] = owner[order][1:] != owner[order][:-1]
    kept = np.zeros(size.size, bool)
    kept[order[first]] = True
    return np.where(kept[pieces], labels, 0).astype(np.int32)
