"""How far the flows of a network are from those that the outlines of its objects would have."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from phenolake.segmentation.flow_kernels import bounding_boxes
from phenolake.segmentation.label_images import Labels

#: Heat that grows by less than this share in a step is at rest; what is left to come would turn
#: the flows of an object 300 pixels wide by some 1e-5.
_REST = 1e-9
#: Steps between two looks at the growth; looking costs as much as a step.
_LOOK = 32


def flow_errors(labels: Labels, flows: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Mean squared distance, per label, of flows to those of the outlines; float64 (count + 1,).

    This is the flow check of Cellpose 4 to rounding: heat enters at the pixel nearest to the centre
    of mass and spreads for twice the largest extent of all objects (or until it rests), and at a
    border between two objects the heat on the other side counts in the gradient. In both it differs
    from `flows_from_labels`, which draws the targets of training.
    """
    boxes = bounding_boxes(labels, count)
    there = boxes[boxes[:, 1] >= 0]
    if there.size == 0:
        return np.zeros(count + 1)
    extents = there[:, 1] - there[:, 0] + there[:, 3] - there[:, 2] + 4
    return _errors(labels, flows, _heat(labels, boxes, 2 * int(extents.max())), count)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _heat(labels, boxes, steps):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Heat of every pixel after so many steps, float64 (y + 2, x + 2) with a cold rim."""
    heat = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2))
    for label in range(1, boxes.shape[0]):
        top, bottom, left, right = boxes[label]
        if bottom < 0:
            continue
        height, width = bottom - top + 3, right - left + 3
        share = np.zeros((height, width))
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                if labels[top + y - 1, left + x - 1] == label:
                    share[y, x] = 1 / 9
        own = _spread(share, steps)
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                if share[y, x] > 0:
                    heat[top + y, left + x] = own[y, x]
    return heat


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(share, steps):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    height, width = share.shape
    centre_y, centre_x = _centre(share)
    heat = np.zeros((height, width))
    sums = np.zeros((height, width))
    for step in range(1, steps + 1):
        look = step % _LOOK == 0
        before = heat.copy() if look else heat
        heat[centre_y, centre_x] += 1
        for y in range(height):
            for x in range(1, width - 1):
                sums[y, x] = heat[y, x - 1] + heat[y, x] + heat[y, x + 1]
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                heat[y, x] = share[y, x] * (sums[y - 1, x] + sums[y, x] + sums[y + 1, x])
        if look:
            growing = 0
            for y in range(1, height - 1):
                for x in range(1, width - 1):
                    growing += heat[y, x] - before[y, x] > _REST * heat[y, x]
            if growing == 0:
                break
    return heat


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _centre(share):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """The object's pixel nearest to its centre of mass, rounded; the first in raster order."""
    height, width = share.shape
    rows, columns, pixels = 0, 0, 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if share[y, x] > 0:
                rows += y - 1
                columns += x - 1
                pixels += 1
    # Halves round to even, counted from the first row and column of the bounding box.
    middle_y, middle_x = np.round(rows / pixels) + 1, np.round(columns / pixels) + 1
    nearest, centre_y, centre_x = np.inf, 0, 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            distance = (y - middle_y) ** 2 + (x - middle_x) ** 2
            if share[y, x] > 0 and distance < nearest:
                nearest, centre_y, centre_x = distance, y, x
    return centre_y, centre_x


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _errors(labels, flows, heat, count):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    totals = np.zeros(count + 1)
    sizes = np.zeros(count + 1, np.int64)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label == 0:
                continue
            dy = heat[row + 2, column + 1] - heat[row, column + 1]
            dx = heat[row + 1, column + 2] - heat[row + 1, column]
            length = 1e-60 + np.sqrt(dy * dy + dx * dx)
            off_y = dy / length - np.float64(flows[0, row, column])
            off_x = dx / length - np.float64(flows[1, row, column])
            totals[label] += off_y * off_y + off_x * off_x
            sizes[label] += 1
    return totals / np.maximum(sizes, 1)
