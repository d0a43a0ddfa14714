"""Distances inside objects: to the object's edge, and along the object from a centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

#: Farther than any pixel; its square and twice that fit 32 bits.
_FAR = np.int32(30_000)
_DIAGONAL = np.sqrt(2.0)


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
        _squares_along_row(labels[y], along_row[y])
    since = np.full(width, _FAR, np.int32)
    for y in range(height):
        _step_down(labels[y], labels[max(y - 1, 0)], since, along_row[y], squares[y])
    since[:] = _FAR
    for y in range(height - 1, -1, -1):
        _step_down(labels[y], labels[min(y + 1, height - 1)], since, squares[y], squares[y])
    _lower(squares, along_row)

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
def _squares_along_row(labels: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Squared distance of each pixel to the ends of its object in the row; 0 in the background."""
    width = labels.shape[0]
    first = 0
    while first < width:
        label, last = labels[first], first + 1
        while last < width and labels[last] == label:
            last += 1
        before = 1 if first > 0 else int(_FAR)
        after = 1 if last < width else int(_FAR)
        run = out[first:last]
        size = last - first
        for i in range(size):
            nearest = min(min(i + before, size - 1 - i + after), int(_FAR))
            # Background plays no part; 0 keeps it from asking for more steps later.
            run[i] = nearest * nearest if label > 0 else 0
        first = last


@kernel
def _step_down(
    labels: NDArray[np.int32],
    behind: NDArray[np.int32],
    since: NDArray[np.int32],
    before: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Lower one row of squares by the distance to where the column's object began."""
    for x in range(labels.shape[0]):
        run = since[x] if labels[x] == behind[x] else np.int32(0)
        run = min(np.int32(run + 1), _FAR)
        since[x] = run
        out[x] = min(before[x], np.int32(run * run))


@kernel
def _lower(squares: NDArray[np.int32], along_row: NDArray[np.int32]) -> None:
    """Lower the squared distances of each row by what the rows above and below offer."""
    height, width = squares.shape
    for y in range(height):
        best = squares[y, 0:width]
        reach = np.int32(0)
        for x in range(width):
            reach = max(reach, best[x])
        for step in range(1, height):
            square = np.int32(step * step)
            if square >= reach:
                break
            if y - step >= 0:
                above = along_row[y - step, 0:width]
                for x in range(width):
                    best[x] = min(best[x], np.int32(above[x] + square))
            if y + step < height:
                below = along_row[y + step, 0:width]
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
    count = starts.shape[0] - 1
    out = np.empty(rows.shape[0])
    largest, most = 0, 0
    for k in range(count):
        size = (boxes[k, 2] - boxes[k, 0] + 2) * (boxes[k, 3] - boxes[k, 1] + 2)
        largest, most = max(largest, size), max(most, starts[k + 1] - starts[k])
    # A frame of one pixel around each box spares the border tests.
    field = np.empty(largest)
    places = np.empty(most + 1, np.int64)
    run_starts = np.empty(most + 1, np.int64)
    for k in range(count):
        size = starts[k + 1] - starts[k]
        width = boxes[k, 3] - boxes[k, 1] + 2
        field[: width * (boxes[k, 2] - boxes[k, 0] + 2)] = np.inf
        runs = 0
        for i in range(size):
            p = starts[k] + i
            places[i] = (rows[p] - boxes[k, 0] + 1) * width + cols[p] - boxes[k, 1] + 1
            if i == 0 or places[i] != places[i - 1] + 1:
                run_starts[runs] = i
                runs += 1
        run_starts[runs] = size
        centre = centres[k] - starts[k]
        field[places[centre]] = 0.0
        # The first pass goes down from the centre's row, the next up through all rows.
        first = 0
        while run_starts[first + 1] <= centre:
            first += 1
        row_start = places[centre] // width * width
        while first > 0 and places[run_starts[first - 1]] >= row_start:
            first -= 1
        down = True
        _pass_rows(field, places, run_starts, first, runs, width, down)
        while True:
            down = not down
            _pass_rows(field, places, run_starts, 0, runs, width, down)
            if not _can_shorten(field, places, run_starts, runs, width, not down):
                break
        for i in range(size):
            value = field[places[i]]
            out[starts[k] + i] = value if value < np.inf else -1.0
    return out


@kernel
def _pass_rows(
    field: NDArray[np.float64],
    places: NDArray[np.int64],
    run_starts: NDArray[np.int64],
    first: int,
    runs: int,
    width: int,
    down: bool,
) -> None:
    """Shorten the paths of each run of pixels by way of the row passed before, then along it."""
    for i in range(first, runs):
        run = i if down else runs - 1 - (i - first)
        start = places[run_starts[run]]
        size = run_starts[run + 1] - run_starts[run]
        behind = start - width if down else start + width
        here = field[start : start + size]
        _shorten(here, field[behind - 1 : behind + size + 1])
        best = np.inf
        for x in range(size):
            best = min(best + 1.0, here[x])
            here[x] = best
        best = np.inf
        for x in range(size):
            best = min(best + 1.0, here[size - 1 - x])
            here[size - 1 - x] = best


@kernel
def _shorten(here: NDArray[np.float64], behind: NDArray[np.float64]) -> None:
    """Paths that come from the row behind, which has a pixel more on both sides."""
    straight, right = behind[1:], behind[2:]
    for x in range(here.shape[0]):
        aslant = min(behind[x], right[x]) + _DIAGONAL
        here[x] = min(here[x], min(straight[x] + 1.0, aslant))


@kernel
def _can_shorten(
    field: NDArray[np.float64],
    places: NDArray[np.int64],
    run_starts: NDArray[np.int64],
    runs: int,
    width: int,
    down: bool,
) -> bool:
    """Whether a pass in that direction would make any path shorter."""
    for run in range(runs):
        start = places[run_starts[run]]
        size = run_starts[run + 1] - run_starts[run]
        behind = start - width if down else start + width
        if _longer(field[start : start + size], field[behind - 1 : behind + size + 1]):
            return True
    return False


@kernel
def _longer(here: NDArray[np.float64], behind: NDArray[np.float64]) -> bool:
    straight, right = behind[1:], behind[2:]
    longer = False
    for x in range(here.shape[0]):
        aslant = min(behind[x], right[x]) + _DIAGONAL
        # Two paths of one length differ by rounding; that is no reason for another round.
        longer |= here[x] > min(straight[x] + 1.0, aslant) + 1e-9
    return longer
