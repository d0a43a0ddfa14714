"""Convex hulls of objects, and what is read off them: calipers, hull area, enclosing circle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def convex_hulls(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Corner pixels of each object's convex hull: `hull_starts`, row and column of each corner.

    Clockwise on the screen from the top pixel of the leftmost column; points on an edge are left
    out. Andrew's monotone chain on the first and last pixel of every column, in integers.
    """
    count = starts.shape[0] - 1
    room = 0
    widest = 0
    for k in range(count):
        width = boxes[k, 3] - boxes[k, 1]
        room += 2 * width
        widest = max(widest, width)
    hull_starts = np.zeros(count + 1, np.int64)
    hull_rows = np.empty(room + 1, np.int64)
    hull_cols = np.empty(room + 1, np.int64)
    top = np.empty(widest, np.int64)
    bottom = np.empty(widest, np.int64)
    size = 0
    for k in range(count):
        width = boxes[k, 3] - boxes[k, 1]
        left = boxes[k, 1]
        bottom[:width] = -1
        for p in range(starts[k], starts[k + 1]):
            j = cols[p] - left
            if bottom[j] < 0:
                top[j] = rows[p]
            bottom[j] = rows[p]
        base = size
        for j in range(width):
            if bottom[j] >= 0:
                size = _push(hull_rows, hull_cols, base, size, top[j], left + j)
        turn = size - 1
        for j in range(width - 1, -1, -1):
            if bottom[j] >= 0 and not (j == width - 1 and bottom[j] == top[j]):
                size = _push(hull_rows, hull_cols, turn, size, bottom[j], left + j)
        # The start came back as the end where the leftmost column has one pixel.
        last = size - 1
        if last > base and (
            hull_rows[last] == hull_rows[base] and hull_cols[last] == hull_cols[base]
        ):
            size = last
        hull_starts[k + 1] = size
    return hull_starts, hull_rows[:size].copy(), hull_cols[:size].copy()


@kernel
def _push(
    hull_rows: NDArray[np.int64],
    hull_cols: NDArray[np.int64],
    base: int,
    size: int,
    row: int,
    col: int,
) -> int:
    """Add a corner, dropping those before it (not before `base`) that are no right turn."""
    while size - base >= 2:
        along_row = hull_rows[size - 1] - hull_rows[size - 2]
        along_col = hull_cols[size - 1] - hull_cols[size - 2]
        turn = along_col * (row - hull_rows[size - 2]) - along_row * (col - hull_cols[size - 2])
        if turn > 0:
            break
        size -= 1
    hull_rows[size] = row
    hull_cols[size] = col
    return size + 1


@kernel
def feret_diameters(
    hull_starts: NDArray[np.int64], hull_rows: NDArray[np.int64], hull_cols: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest distance of two parallel lines around each hull, between pixel centres.

    The smallest has one line on a hull edge, the largest spans two corners. A point or a line has
    a smallest diameter of 0.
    """
    count = hull_starts.shape[0] - 1
    smallest = np.zeros(count)
    largest = np.zeros(count)
    for k in range(count):
        first, last = hull_starts[k], hull_starts[k + 1]
        narrow = np.inf
        wide = np.int64(0)
        for a in range(first, last):
            b = a + 1 if a + 1 < last else first
            dy, dx = hull_rows[b] - hull_rows[a], hull_cols[b] - hull_cols[a]
            height = np.int64(0)
            for c in range(first, last):
                ey, ex = hull_rows[c] - hull_rows[a], hull_cols[c] - hull_cols[a]
                wide = max(wide, ey * ey + ex * ex)
                height = max(height, abs(dx * ey - dy * ex))
            narrow = min(narrow, height / np.sqrt(np.float64(dy * dy + dx * dx)))
        smallest[k] = narrow if last - first > 2 else 0.0
        largest[k] = np.sqrt(np.float64(wide))
    return smallest, largest


@kernel
def hull_areas(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Pixels whose centre lies in or on the convex hull of the object's pixel sides.

    Every pixel gives the middle points of its four sides; with coordinates doubled all of it is
    integer arithmetic.
    """
    count = starts.shape[0] - 1
    tallest = 0
    for k in range(count):
        tallest = max(tallest, 2 * (boxes[k, 2] - boxes[k, 0]) + 1)
    left = np.empty(tallest, np.int64)
    right = np.empty(tallest, np.int64)
    chain = np.empty(tallest, np.int64)
    areas = np.empty(count)
    for k in range(count):
        lines = 2 * (boxes[k, 2] - boxes[k, 0]) + 1
        left[:lines] = np.int64(1) << 40
        right[:lines] = -(np.int64(1) << 40)
        for p in range(starts[k], starts[k + 1]):
            line = 2 * (rows[p] - boxes[k, 0]) + 1
            col = 2 * cols[p]
            for near in range(-1, 2):
                reach = 1 if near == 0 else 0
                left[line + near] = min(left[line + near], col - reach)
                right[line + near] = max(right[line + near], col + reach)
        # The right side is the left side of the mirror image.
        for i in range(lines):
            right[i] = -right[i]
        _bend_inwards(left, chain, lines)
        _bend_inwards(right, chain, lines)
        area = np.int64(0)
        for i in range(1, lines, 2):
            area += max(-right[i] - left[i] + 1, 0)
        areas[k] = area
    return areas


@kernel
def _bend_inwards(side: NDArray[np.int64], chain: NDArray[np.int64], lines: int) -> None:
    """Replace a left side by its convex hull; odd lines get the first pixel on or right of it."""
    empty = np.int64(1) << 39
    size = 0
    for i in range(lines):
        if side[i] > empty:
            continue
        while size >= 2:
            a, b = chain[size - 2], chain[size - 1]
            if (side[b] - side[a]) * (i - a) < (side[i] - side[a]) * (b - a):
                break
            size -= 1
        chain[size] = i
        size += 1
    for c in range(size - 1):
        a, b = chain[c], chain[c + 1]
        start, step = side[a], side[b] - side[a]
        for i in range(a, b):
            if i % 2 == 1:
                # The smallest pixel column whose double is not left of the edge: a ceiling.
                side[i] = -((-(start * (b - a) + step * (i - a))) // (2 * (b - a)))


@kernel
def enclosing_circles(
    hull_starts: NDArray[np.int64], hull_rows: NDArray[np.int64], hull_cols: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre (row, column) and radius of the smallest circle around each hull's corners.

    Chrystal's walk (1885): seen from the corner with the smallest angle over the chord, the chord
    is the diameter, or part of an acute triangle, or one of its ends moves to that corner. The
    order of corners and of operations is CellProfiler's, to the last bit: which of the pixels on
    the circle count as inside it, and so the Zernike moments, depends on that bit.
    """
    count = hull_starts.shape[0] - 1
    centres = np.empty((count, 2))
    radii = np.empty(count)
    right_angle = np.pi / 2
    for k in range(count):
        first, last = hull_starts[k], hull_starts[k + 1]
        if last - first == 1:
            centres[k, 0], centres[k, 1] = hull_rows[first], hull_cols[first]
            radii[k] = 0.0
            continue
        s0, s1 = first, first + 1
        while True:
            y0, x0 = np.float64(hull_rows[s0]), np.float64(hull_cols[s0])
            y1, x1 = np.float64(hull_rows[s1]), np.float64(hull_cols[s1])
            dy, dx = y0 - y1, x0 - x1
            chord = dy * dy + dx * dx
            smallest, at_s0, at_s1, corner = np.inf, 0.0, 0.0, -1
            for v in range(first, last):
                if v in (s0, s1):
                    continue
                vy, vx = np.float64(hull_rows[v]), np.float64(hull_cols[v])
                y, x = vy - y1, vx - x1
                angle1 = abs(np.arccos((dy * y + dx * x) / np.sqrt(chord * (y * y + x * x))))
                y, x = vy - y0, vx - x0
                angle0 = abs(np.arccos((-dy * y + -dx * x) / np.sqrt(chord * (y * y + x * x))))
                angle = np.pi - angle1 - angle0
                if angle < smallest:
                    smallest, at_s0, at_s1, corner = angle, angle0, angle1, v
            if corner < 0 or smallest >= right_angle:
                centres[k, 0], centres[k, 1] = (y0 + y1) / 2, (x0 + x1) / 2
                radii[k] = np.sqrt(chord) / 2
                break
            if at_s0 <= right_angle and at_s1 <= right_angle:
                vy, vx = np.float64(hull_rows[corner]), np.float64(hull_cols[corner])
                q0, q1, qv = y0 * y0 + x0 * x0, y1 * y1 + x1 * x1, vy * vy + vx * vx
                double = 2 * (x0 * (y1 - vy) + x1 * (vy - y0) + vx * (y0 - y1))
                cx = (q0 * (y1 - vy) + q1 * (vy - y0) + qv * (y0 - y1)) / double
                cy = (q0 * (vx - x1) + q1 * (x0 - vx) + qv * (x1 - x0)) / double
                centres[k, 0], centres[k, 1] = cy, cx
                radii[k] = np.sqrt((y0 - cy) * (y0 - cy) + (x0 - cx) * (x0 - cx))
                break
            if at_s0 > right_angle:
                s0 = corner
            else:
                s1 = corner
    return centres, radii
