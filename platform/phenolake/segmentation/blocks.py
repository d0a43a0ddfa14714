"""Label images of huge planes in bounded memory: block by block, each object from one block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phenolake.segmentation.foreground import Plane
from phenolake.segmentation.label_images import Labels, renumber

#: Planes with more pixels than this are worked on in blocks.
BLOCK_PIXELS = 5000 * 5000
#: Edge of a block's own part, and how far it looks beyond, pixels. An object wider than the
#: margin may be cut where two blocks meet.
_CORE, _MARGIN = 4096, 256


def join_blocks(
    plane: Plane, find: Callable[[Plane], Labels], core: int = _CORE, margin: int = _MARGIN
) -> Labels:
    """Label the objects of a plane block by block, int32 (y, x), 1..n in raster order.

    A block is `core` pixels wide and sees `margin` more on each side. It contributes the objects
    whose centre lies in its core, so that an object on the seam comes from one block whole.
    """
    joined = np.zeros(plane.shape, np.int32)
    count = 0
    for top in range(0, plane.shape[0], core):
        for left in range(0, plane.shape[1], core):
            first = (max(0, top - margin), max(0, left - margin))
            window = np.s_[first[0] : top + core + margin, first[1] : left + core + margin]
            labels = find(plane[window])
            lookup = _own(labels, (top - first[0], left - first[1]), core)
            lookup[lookup > 0] += count
            count = max(count, int(lookup.max(initial=0)))
            mine = lookup[labels]
            free = joined[window] == 0
            joined[window] = np.where(free, mine, joined[window])
    return renumber(joined)


def _own(labels: Labels, corner: tuple[int, int], core: int) -> Labels:
    """Numbers 1..k for the objects whose centre lies in the core, 0 for the others, by label."""
    flat = labels.ravel()
    size = np.maximum(np.bincount(flat), 1)
    inside = np.ones(size.size, bool)
    for axis, start in enumerate(corner):
        position = np.arange(labels.shape[axis], dtype=np.float64)
        shape = [1, 1]
        shape[axis] = -1
        weights = np.broadcast_to(position.reshape(shape), labels.shape).ravel()
        centre = np.bincount(flat, weights) / size
        inside &= (centre >= start) & (centre < start + core)
    inside[0] = False
    return (np.cumsum(inside) * inside).astype(np.int32)
