"""Outlines of nuclei and cells, and the label images that crowding leaves of them."""

from __future__ import annotations

import numba
import numpy as np

#: Directions in which an outline's radius is given.
DIRECTIONS = 72
_MIN_PIXELS = 12


def outlines(
    rng: np.random.Generator,
    radius: np.ndarray,
    elongation: np.ndarray,
    angle: np.ndarray,
    roughness: np.ndarray,
    orders: tuple[int, int],
) -> np.ndarray:
    """Radii of ellipses with random bumps; float32, shape (object, direction), pixels.

    Bumps are cosines of the angle of `orders` (first, last) with amplitude `roughness`, falling
    nearly as the inverse of the order. A radius never falls below 0.35 of the ellipse's.
    """  # fmt: skip
    theta = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    turn = theta - angle[:, None]
    stretch = np.sqrt(elongation)[:, None]
    ellipse = radius[:, None] / np.sqrt(
        (np.cos(turn) / stretch) ** 2 + (np.sin(turn) * stretch) ** 2
    )
    order = np.arange(orders[0], orders[1] + 1)
    amplitude = rng.normal(0.0, 1.0, (len(radius), len(order), 2)) / order[:, None] ** 0.9
    waves = np.stack([np.cos(order[:, None] * theta), np.sin(order[:, None] * theta)], axis=1)
    bumps = np.einsum("nkc,kct->nt", amplitude, waves) * roughness[:, None]
    return (ellipse * np.clip(1.0 + bumps, 0.35, 2.2)).astype(np.float32)


@numba.njit(cache=True, inline="always")
def radius_towards(outline: np.ndarray, dy: float, dx: float) -> float:
    """Radius of an outline in the direction (dy, dx), linear between the given directions."""
    position = np.arctan2(dy, dx) * (DIRECTIONS / (2 * np.pi))
    if position < 0:
        position += DIRECTIONS
    low = int(position)
    part = position - low
    return outline[low % DIRECTIONS] * (1 - part) + outline[(low + 1) % DIRECTIONS] * part


@numba.njit(cache=True)
def assign_pixels(
    y: np.ndarray, x: np.ndarray, nucleus: np.ndarray, cell: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each pixel to the object whose outline it is deepest in.

    Depth is the distance from the centre over the outline's radius. Nuclei go before cell bodies,
    so a nucleus is always inside its own cell. A cell whose nucleus is in the field is one piece.

    Returns
    -------
    nuclei, cells
        int32, shape (size, size); object index + 1, 0 = background.
    second
        float32, shape (size, size); depth in the next best cell, which places contact lines.
    """
    nuclei = np.zeros((size, size), np.int32)
    cells = np.zeros((size, size), np.int32)
    best_nucleus = np.ones((size, size), np.float32)
    best = np.full((size, size), np.float32(1.0))
    second = np.full((size, size), np.float32(9.0))
    for i in range(len(y)):
        reach = max(cell[i].max(), nucleus[i].max()) + 1
        for row in range(max(0, int(y[i] - reach)), min(size, int(y[i] + reach) + 1)):
            for column in range(max(0, int(x[i] - reach)), min(size, int(x[i] + reach) + 1)):
                dy, dx = row - y[i], column - x[i]
                distance = np.sqrt(dy * dy + dx * dx)
                if distance > reach:
                    continue
                depth = distance / radius_towards(cell[i], dy, dx)
                if depth < best[row, column]:
                    if cells[row, column] > 0:
                        second[row, column] = best[row, column]
                    best[row, column] = depth
                    cells[row, column] = i + 1
                elif depth < second[row, column]:
                    second[row, column] = depth
                nuclear = distance / radius_towards(nucleus[i], dy, dx)
                if nuclear < best_nucleus[row, column]:
                    best_nucleus[row, column] = nuclear
                    nuclei[row, column] = i + 1
    for row in range(size):
        for column in range(size):
            if nuclei[row, column] > 0:
                cells[row, column] = nuclei[row, column]
    _drop_fragments(nuclei, cells, len(y))
    return nuclei, cells, second


@numba.njit(cache=True)
def _drop_fragments(nuclei: np.ndarray, cells: np.ndarray, count: int) -> None:
    """Clear, in place, parts of a cell that neighbours cut off from its nucleus (4-connected)."""
    size = cells.shape[0]
    attached = nuclei > 0
    has_nucleus = np.zeros(count + 1, np.bool_)
    queue = np.empty(size * size, np.int64)
    tail = 0
    for row in range(size):
        for column in range(size):
            if attached[row, column]:
                has_nucleus[nuclei[row, column]] = True
                queue[tail] = row * size + column
                tail += 1
    head = 0
    while head < tail:
        row, column = queue[head] // size, queue[head] % size
        head += 1
        for step in range(4):
            r = row + (step == 0) - (step == 1)
            c = column + (step == 2) - (step == 3)
            if r < 0 or c < 0 or r >= size or c >= size or attached[r, c]:
                continue
            if cells[r, c] == cells[row, column]:
                attached[r, c] = True
                queue[tail] = r * size + c
                tail += 1
    for row in range(size):
        for column in range(size):
            if not attached[row, column] and has_nucleus[cells[row, column]]:
                cells[row, column] = 0


def true_labels(
    nuclei: np.ndarray, cells: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels from 1, without gaps, of the cells whose nucleus is in the field.

    Cells of which the field shows fewer than 12 nucleus pixels lose their label; they stay in the
    picture, as cells at the edge of a real field do.

    Returns
    -------
    nuclei, cells
        int32, shape (y, x), 0 = background.
    kept
        int64, shape (objects,); index of each numbered object in the input, plus 1.
    """
    areas = np.bincount(nuclei.ravel(), minlength=count + 1)
    kept = np.flatnonzero(areas[1:] >= _MIN_PIXELS) + 1
    number = np.zeros(count + 1, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[nuclei], number[cells], kept
