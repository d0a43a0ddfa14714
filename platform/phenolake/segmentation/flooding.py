"""Compiled label growing: split touching objects at necks, grow seeds over an image.

Both kernels visit each pixel once and are deterministic.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def split_at_necks(
    height: NDArray[np.float32], mask: NDArray[np.bool_], neck: float, tolerance: float
) -> NDArray[np.int32]:
    """Label the hills of a relief inside a mask, int32, shape (y, x), 0 outside the mask.

    A watershed flooded from the peaks down. Two hills stay apart where the pass between them is
    lower than `neck` times the lower peak and more than `tolerance` below it; otherwise they are
    one. The test is relative, so that it needs no object size.

    Parameters
    ----------
    height
        float32, shape (y, x): for example the distance to the background.
    mask
        bool, shape (y, x): pixels to label, 8-connected.
    neck
        Pass over lower peak above which two hills are one, 0 to 1.
    tolerance
        Height that a peak must at least rise above the pass.

    References
    ----------
    Vincent & Soille, IEEE PAMI 13:583 (1991), watershed by immersion; the merging rule is the
    dynamics of Grimaud, Proc. SPIE 1769:292 (1992), taken relative to the peak.
    """
    inside = np.flatnonzero(mask)
    # A stable sort makes ties follow raster order, so equal heights give one answer.
    order = inside[np.argsort(-height.ravel()[inside], kind="stable")]
    return _flood(np.ascontiguousarray(height, np.float32), order, neck, tolerance)


def grow_seeds(
    seeds: NDArray[np.int32],
    barrier: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    reach: float,
) -> NDArray[np.int32]:
    """Grow labelled seeds over allowed pixels, each pixel to its cheapest seed; int32 (y, x).

    The cost of a step is its length times one plus the mean `barrier` of its two ends, so fronts
    meet where the barrier is high, and half way where it is flat. No path gets longer than
    `reach` pixels (8-connected length).

    Parameters
    ----------
    seeds
        int32, shape (y, x), 0 where there is no seed.
    barrier
        float32, shape (y, x), at least 0; values above 30 count as 30.
    allowed
        bool, shape (y, x): pixels a seed may grow into.
    reach
        Longest way from a seed, pixels.

    References
    ----------
    Jones, Carpenter & Golland, LNCS 3765:535 (2005), with steps priced by a relief.
    """
    quantized = np.clip(barrier, 0, _MAX_BARRIER).astype(np.float32)
    return _grow(seeds.astype(np.int32), quantized, allowed, np.float32(reach))


_MAX_BARRIER = 30.0
#: Costs are counted in eighths of a flat step of one pixel.
_COST_UNIT = 8
_BUCKETS = 512


@numba.njit(cache=True)
def _root(parent, label):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@numba.njit(cache=True)
def _flood(height, order, neck, tolerance):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    rows, columns = height.shape
    labels = np.zeros((rows, columns), np.int32)
    parent = np.zeros(order.size + 1, np.int32)
    peak = np.zeros(order.size + 1, np.float32)
    hills = 0
    for index in order:
        row, column = index // columns, index % columns
        level = height[row, column]
        mine = 0
        highest = np.float32(-np.inf)
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                if labels[r, c] == 0:
                    continue
                other = _root(parent, labels[r, c])
                if mine != 0 and other != mine:
                    lower, upper = (mine, other) if peak[mine] < peak[other] else (other, mine)
                    if level >= neck * peak[lower] or peak[lower] - level <= tolerance:
                        parent[lower] = upper
                        mine = upper
                        highest = max(highest, height[r, c])
                        continue
                if height[r, c] > highest:
                    highest = height[r, c]
                    mine = other
        if mine == 0:
            hills += 1
            mine = hills
            parent[mine] = mine
            peak[mine] = level
        labels[row, column] = mine
    for index in order:
        row, column = index // columns, index % columns
        labels[row, column] = _root(parent, labels[row, column])
    return labels


@numba.njit(cache=True)
def _grow(seeds, barrier, allowed, reach):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    # Dijkstra over pixels with a ring of buckets (Dial): integer costs, each queued pixel is one
    # entry of a linked list, and the largest step is shorter than the ring.
    rows, columns = seeds.shape
    labels = seeds.copy()
    cost = np.full((rows, columns), np.int32(2**30))
    way = np.zeros((rows, columns), np.float32)
    # Each neighbour of a pixel is final once, so a pixel is queued at most eight times.
    capacity = 8 * np.count_nonzero(allowed) + np.count_nonzero(seeds) + 1
    entry_pixel = np.empty(capacity, np.int32)
    entry_cost = np.empty(capacity, np.int32)
    entry_next = np.empty(capacity, np.int32)
    first = np.full(_BUCKETS, -1, np.int32)
    used = 0
    waiting = 0
    for index in range(rows * columns - 1, -1, -1):
        row, column = index // columns, index % columns
        if seeds[row, column] == 0:
            continue
        cost[row, column] = 0
        # Only a seed's rim can grow.
        rim = False
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                rim = rim or seeds[r, c] == 0
        if rim:
            entry_pixel[used], entry_cost[used], entry_next[used] = index, 0, first[0]
            first[0] = used
            used += 1
            waiting += 1
    now = 0
    while waiting > 0:
        entry = first[now % _BUCKETS]
        if entry < 0:
            now += 1
            continue
        first[now % _BUCKETS] = entry_next[entry]
        waiting -= 1
        row, column = entry_pixel[entry] // columns, entry_pixel[entry] % columns
        if entry_cost[entry] > cost[row, column]:
            continue
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                if not allowed[r, c] or seeds[r, c] != 0:
                    continue
                step = np.float32(1.41421356) if r != row and c != column else np.float32(1.0)
                length = way[row, column] + step
                if length > reach:
                    continue
                price = step * (1 + 0.5 * (barrier[row, column] + barrier[r, c]))
                total = now + max(1, round(price * _COST_UNIT))
                if total < cost[r, c]:
                    cost[r, c] = total
                    way[r, c] = length
                    labels[r, c] = labels[row, column]
                    entry_pixel[used], entry_cost[used] = r * columns + c, total
                    entry_next[used] = first[total % _BUCKETS]
                    first[total % _BUCKETS] = used
                    used += 1
                    waiting += 1
    return labels
