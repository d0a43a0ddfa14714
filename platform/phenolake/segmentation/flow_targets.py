"""Flow fields of label images: at each pixel of an object, the way heat flows to its centre."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenolake.errors import ConfigurationError

Flows = NDArray[np.float32]


def flows_from_labels(labels: ArrayLike) -> Flows:
    """Unit vectors (dy, dx) towards the centre of each pixel's object; float32 (2, y, x).

    Heat enters each object at its centre and spreads inside it alone; the flow is the direction in
    which heat grows. It is 0 in the background and at pixels that no heat reached.

    Parameters
    ----------
    labels
        Any integer dtype, shape (y, x), 0 = background; numbers need not be consecutive.

    Raises
    ------
    ConfigurationError
        If the labels are not a plane.

    References
    ----------
    Stringer et al., Nature Methods 18:100 (2021), Cellpose. Unlike there, heat of a neighbour that
    touches counts as none, so the flow points away from it; and each object is heated for twice
    its own extent, not that of the largest.
    """
    plane = np.asarray(labels)
    if plane.ndim != 2:
        raise ConfigurationError(f"labels must be a plane (y, x), got shape {plane.shape}")
    consecutive = _consecutive(plane)
    return _flows(consecutive, _boxes(consecutive))


def _consecutive(labels: NDArray) -> NDArray[np.int32]:
    largest = int(labels.max(initial=0))
    if largest < 4 * labels.size:
        lookup = np.zeros(largest + 1, np.int32)
        present = np.flatnonzero(np.bincount(labels.ravel()))
        present = present[present > 0]
        lookup[present] = np.arange(1, present.size + 1)
        return lookup[labels]
    names, inverse = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    rank = np.arange(names.size) - np.searchsorted(names, 0)
    return rank[inverse[:-1]].reshape(labels.shape).astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _boxes(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """First row, last row, first column, last column of each object; int64 (n, 4)."""
    boxes = np.empty((labels.max() if labels.size else 0, 4), np.int64)
    boxes[:, 0] = labels.shape[0]
    boxes[:, 1] = -1
    boxes[:, 2] = labels.shape[1]
    boxes[:, 3] = -1
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] > 0:
                box = boxes[labels[y, x] - 1]
                box[0] = min(box[0], y)
                box[1] = max(box[1], y)
                box[2] = min(box[2], x)
                box[3] = max(box[3], x)
    return boxes


@numba.njit(cache=True, nogil=True)
def _flows(labels: NDArray[np.int32], boxes: NDArray[np.int64]) -> Flows:
    flows = np.zeros((2, labels.shape[0], labels.shape[1]), np.float32)
    for number in range(boxes.shape[0]):
        top, bottom, left, right = boxes[number]
        height, width = bottom - top + 1, right - left + 1
        inside = np.zeros((height + 2, width + 2))
        for y in range(height):
            for x in range(width):
                inside[y + 1, x + 1] = labels[top + y, left + x] == number + 1
        cy, cx = _centre(inside)
        heat = _diffuse(inside, cy, cx, 2 * (height + width + 2))
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                if inside[y, x] > 0:
                    dy = heat[y + 1, x] - heat[y - 1, x]
                    dx = heat[y, x + 1] - heat[y, x - 1]
                    length = np.sqrt(dy * dy + dx * dx)
                    if length > 0:
                        flows[0, top + y - 1, left + x - 1] = dy / length
                        flows[1, top + y - 1, left + x - 1] = dx / length
    return flows


@numba.njit(cache=True, nogil=True)
def _centre(inside: NDArray[np.float64]) -> tuple[int, int]:
    """Return the object's pixel nearest to its centre of mass, the first in raster order."""
    ysum, xsum, count = 0.0, 0.0, 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            if inside[y, x] > 0:
                ysum += y
                xsum += x
                count += 1
    ymean, xmean = np.round(ysum / count), np.round(xsum / count)
    best, cy, cx = np.inf, 0, 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            distance = (y - ymean) ** 2 + (x - xmean) ** 2
            if inside[y, x] > 0 and distance < best:
                best, cy, cx = distance, y, x
    return cy, cx


@numba.njit(cache=True, nogil=True)
def _diffuse(inside: NDArray[np.float64], cy: int, cx: int, steps: int) -> NDArray[np.float64]:
    """Heat after so many steps; a pixel takes the mean of its 3 x 3 neighbourhood."""
    height, width = inside.shape
    heat = np.zeros((height, width))
    rows = np.zeros((height, width))
    share = inside / 9
    for _ in range(steps):
        heat[cy, cx] += 1
        for y in range(height):
            for x in range(1, width - 1):
                rows[y, x] = heat[y, x - 1] + heat[y, x] + heat[y, x + 1]
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                heat[y, x] = share[y, x] * (rows[y - 1, x] + rows[y, x] + rows[y + 1, x])
    return heat
