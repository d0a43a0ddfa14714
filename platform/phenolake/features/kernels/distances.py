"""Distances inside objects: to the object's edge, and along the object from a centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

#: Farther than any pixel; its square and twice that fit 32 bits.
_FAR = np.int32(30_000)


@kernel
def distance_to_edge(
    labels: NDArray[np.int32], rows: NDArray[np.int32], cols: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Euclidean distance of each listed pixel to the nearest pixel that is not of its object.

    Exact and separable (Saito and Toriwaki 1994): squared distance along the row, then the
    smallest over the column of that plus the squared step. A step past the object adds more than
    the distance along the column, so labels need no look-up there. For images under 30,000 pixels
    high and wide.

    Returns it twice: with everything past the image border outside the object (as for a padded
    crop), and with the border left open, as on the image alone. An object that fills the image
    has the first in both.
    """
    height, width = labels.shape
    far = _FAR * _FAR
    along_row = np.empty((height, width), np.int32)
    squares = np.empty((height, width), np.int32)
    for y in range(height):
        run = _FAR
        for x in range(width):
            if x > 0 and labels[y, x] != labels[y, x - 1]:
                run = np.int32(0)
            run = min(np.int32(run + 1), _FAR)
            along_row[y, x] = run
        run = _FAR
        for x in range(width - 1, -1, -1):
            if x < width - 1 and labels[y, x] != labels[y, x + 1]:
                run = np.int32(0)
            run = min(np.int32(run + 1), _FAR)
            nearest = min(along_row[y, x], run)
            # Background plays no part; 0 keeps it from asking for more steps below.
            along_row[y, x] = nearest * nearest if labels[y, x] > 0 else 0
    run_of = np.full(width, _FAR, np.int32)
    for y in range(height):
        for x in range(width):
            if y > 0 and labels[y, x] != labels[y - 1, x]:
                run_of[x] = 0
            run_of[x] = min(np.int32(run_of[x] + 1), _FAR)
            squares[y, x] = min(along_row[y, x], np.int32(run_of[x] * run_of[x]))
    run_of[:] = _FAR
    for y in range(height - 1, -1, -1):
        for x in range(width):
            if y < height - 1 and labels[y, x] != labels[y + 1, x]:
                run_of[x] = 0
            run_of[x] = min(np.int32(run_of[x] + 1), _FAR)
            squares[y, x] = min(squares[y, x], np.int32(run_of[x] * run_of[x]))
    for y in range(height):
        _lower(squares[y], along_row, y)

    count = rows.shape[0]
    closed = np.empty(count)
    opened = np.empty(count)
    for p in range(count):
        y, x = rows[p], cols[p]
        to_border = np.float64(min(min(y + 1, height - y), min(x + 1, width - x)))
        inside = np.sqrt(np.float64(squares[y, x]))
        closed[p] = min(inside, to_border)
        opened[p] = inside if squares[y, x] < far else closed[p]
    return closed, opened


@kernel
def _lower(best: NDArray[np.int32], along_row: NDArray[np.int32], y: int) -> None:
    """Lower one row of squared distances by what the rows above and below offer."""
    height, width = along_row.shape
    reach = np.int32(0)
    for x in range(width):
        reach = max(reach, best[x])
    for step in range(1, height):
        square = np.int32(step * step)
        if square >= reach:
            break
        if y - step >= 0:
            above = along_row[y - step]
            for x in range(width):
                best[x] = min(best[x], np.int32(above[x] + square))
        if y + step < height:
            below = along_row[y + step]
            for x in range(width):
                best[x] = min(best[x], np.int32(below[x] + square))


@kernel
def distance_along_object(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
    centres: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Length of the shortest path inside its object from the centre to each listed pixel.

    Steps of 1 to the sides and sqrt(2) along diagonals. `centres` are positions in the pixel list.
    Pixels the centre can't reach (other parts of a divided object) get -1.
    """
    diagonal = np.sqrt(2.0)
    count = starts.shape[0] - 1
    out = np.empty(rows.shape[0])
    largest = 0
    for k in range(count):
        size = (boxes[k, 2] - boxes[k, 0] + 2) * (boxes[k, 3] - boxes[k, 1] + 2)
        largest = max(largest, size)
    # A frame of one pixel around each box spares the border tests; outside pixels stay at -1.
    field = np.empty(largest)
    for k in range(count):
        height = boxes[k, 2] - boxes[k, 0] + 2
        width = boxes[k, 3] - boxes[k, 1] + 2
        field[: height * width] = -1.0
        for p in range(starts[k], starts[k + 1]):
            at = (rows[p] - boxes[k, 0] + 1) * width + cols[p] - boxes[k, 1] + 1
            field[at] = np.inf
        c = centres[k]
        field[(rows[c] - boxes[k, 0] + 1) * width + cols[c] - boxes[k, 1] + 1] = 0.0
        changed = True
        forward = True
        while changed:
            changed = _sweep(field, height, width, diagonal, forward)
            forward = not forward
            changed = _sweep(field, height, width, diagonal, forward) or changed
            forward = not forward
        for p in range(starts[k], starts[k + 1]):
            value = field[(rows[p] - boxes[k, 0] + 1) * width + cols[p] - boxes[k, 1] + 1]
            out[p] = value if value < np.inf else -1.0
    return out


@kernel
def _sweep(
    field: NDArray[np.float64], height: int, width: int, diagonal: float, forward: bool
) -> bool:
    """One pass in row order (or back) that shortens paths through the four pixels passed before."""
    changed = False
    sign = 1 if forward else -1
    for i in range(1, height - 1):
        y = i if forward else height - 1 - i
        for j in range(1, width - 1):
            x = j if forward else width - 1 - j
            at = y * width + x
            value = field[at]
            if value <= 0.0:
                continue
            best = value
            before = field[at - sign]
            if before >= 0.0 and before + 1.0 < best:
                best = before + 1.0
            above = at - sign * width
            if field[above] >= 0.0 and field[above] + 1.0 < best:
                best = field[above] + 1.0
            if field[above - 1] >= 0.0 and field[above - 1] + diagonal < best:
                best = field[above - 1] + diagonal
            if field[above + 1] >= 0.0 and field[above + 1] + diagonal < best:
                best = field[above + 1] + diagonal
            # Two paths of one length differ by rounding; that is no reason for another round.
            if best < value - 1e-9:
                field[at] = best
                changed = True
    return changed
