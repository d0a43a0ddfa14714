"""Share and evenness of intensity in rings around each object's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

#: Sector code of pixels that no path inside the object joins to its centre.
UNREACHED = 255


@kernel
def sectors(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    centres: NDArray[np.int64],
    to_edge: NDArray[np.float64],
    from_centre: NDArray[np.float64],
    rings: int,
) -> NDArray[np.uint8]:
    """Ring * 8 + wedge of each listed pixel; a ring is a quarter of the way from centre to edge."""
    out = np.empty(rows.shape[0], np.uint8)
    for k in range(starts.shape[0] - 1):
        row, col = rows[centres[k]], cols[centres[k]]
        for p in range(starts[k], starts[k + 1]):
            if from_centre[p] < 0.0:
                out[p] = UNREACHED
                continue
            # The thousandth keeps the edge itself inside the last ring.
            way = from_centre[p] / (from_centre[p] + to_edge[p] + 0.001)
            dy, dx = rows[p] - row, cols[p] - col
            wedge = (1 if dy > 0 else 0) + (2 if dx > 0 else 0) + (4 if abs(dy) > abs(dx) else 0)
            out[p] = min(int(way * rings), rings - 1) * 8 + wedge
    return out


@kernel
def radial_distribution(
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    sector: NDArray[np.uint8],
    rings: int,
) -> NDArray[np.float64]:
    """Fraction, mean fraction and variation of each ring, shape (objects, channels, 3, rings).

    The variation is the standard deviation of the wedges' mean intensities over their mean, 0 in a
    ring without pixels. All intensities 0 give NaN.
    """
    channels = values.shape[0]
    count = starts.shape[0] - 1
    out = np.empty((count, channels, 3, rings))
    sizes = np.empty(8 * rings, np.int64)
    sums = np.empty(8 * rings)
    for k in range(count):
        sizes[:] = 0
        reached = 0
        for p in range(starts[k], starts[k + 1]):
            if sector[p] != UNREACHED:
                sizes[sector[p]] += 1
                reached += 1
        for c in range(channels):
            sums[:] = 0.0
            for p in range(starts[k], starts[k + 1]):
                if sector[p] != UNREACHED:
                    sums[sector[p]] += values[c, p]
            total = np.sum(sums)
            for ring in range(rings):
                size, amount = 0, 0.0
                wedges, mean = 0, 0.0
                for s in range(8 * ring, 8 * ring + 8):
                    size += sizes[s]
                    amount += sums[s]
                    if sizes[s] > 0:
                        wedges += 1
                        mean += sums[s] / sizes[s]
                fraction = amount / total if total != 0.0 else np.nan
                out[k, c, 0, ring] = fraction
                out[k, c, 1, ring] = fraction / (size / reached + 2.0**-52)
                if wedges == 0:
                    out[k, c, 2, ring] = 0.0
                    continue
                mean /= wedges
                squares = 0.0
                for s in range(8 * ring, 8 * ring + 8):
                    if sizes[s] > 0:
                        squares += (sums[s] / sizes[s] - mean) * (sums[s] / sizes[s] - mean)
                variation = np.sqrt(squares / wedges)
                out[k, c, 2, ring] = variation / mean if mean != 0.0 else np.nan
    return out
