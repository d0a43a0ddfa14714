"""Openings by reconstruction of an image, and object means of an image at another scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def erode(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest value of each pixel and its four neighbours in the image."""
    height, width = image.shape
    out = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            value = image[y, x]
            if y > 0:
                value = min(value, image[y - 1, x])
            if y + 1 < height:
                value = min(value, image[y + 1, x])
            if x > 0:
                value = min(value, image[y, x - 1])
            if x + 1 < width:
                value = min(value, image[y, x + 1])
            out[y, x] = value
    return out


@kernel
def reconstruct(marker: NDArray[np.float64], mask: NDArray[np.float64]) -> NDArray[np.float64]:
    """The marker (nowhere above the mask) dilated under the mask until nothing changes, 4-connected.

    Vincent's hybrid algorithm (1993): two scans, then a queue of the pixels still to spread.
    """
    height, width = marker.shape
    out = marker.copy()
    for y in range(height):
        for x in range(width):
            value = out[y, x]
            if y > 0:
                value = max(value, out[y - 1, x])
            if x > 0:
                value = max(value, out[y, x - 1])
            out[y, x] = min(value, mask[y, x])
    queue = np.empty(height * width + 1, np.int64)
    queued = np.zeros((height, width), np.bool_)
    head, tail = 0, 0
    for y in range(height - 1, -1, -1):
        for x in range(width - 1, -1, -1):
            value = out[y, x]
            if y + 1 < height:
                value = max(value, out[y + 1, x])
            if x + 1 < width:
                value = max(value, out[y, x + 1])
            value = min(value, mask[y, x])
            out[y, x] = value
            spreads = (
                y + 1 < height and out[y + 1, x] < value and out[y + 1, x] < mask[y + 1, x]
            ) or (x + 1 < width and out[y, x + 1] < value and out[y, x + 1] < mask[y, x + 1])
            if spreads:
                queue[tail] = y * width + x
                queued[y, x] = True
                tail += 1
    room = queue.shape[0]
    while head != tail:
        y, x = queue[head] // width, queue[head] % width
        head = head + 1 if head + 1 < room else 0
        queued[y, x] = False
        value = out[y, x]
        for side in range(4):
            v = y + (1 if side == 0 else -1 if side == 1 else 0)
            u = x + (1 if side == 2 else -1 if side == 3 else 0)
            if v < 0 or u < 0 or v >= height or u >= width:
                continue
            if out[v, u] < value and out[v, u] < mask[v, u]:
                out[v, u] = min(value, mask[v, u])
                if not queued[v, u]:
                    queued[v, u] = True
                    queue[tail] = v * width + u
                    tail = tail + 1 if tail + 1 < room else 0
    return out


@kernel
def enlarging_weights(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    boxes: NDArray[np.int32],
    height: int,
    width: int,
    scale_y: float,
    scale_x: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Weights that make object means of a bilinearly enlarged image from the small image.

    Enlarging and averaging are both linear, so one weight for each small pixel and object does
    both. Returns `weight_starts` (objects + 1), the places in the small image, and the weights.
    """
    count = starts.shape[0] - 1
    room, largest = 0, 0
    for k in range(count):
        tall = int((boxes[k, 2] - 1) * scale_y) - int(boxes[k, 0] * scale_y) + 2
        wide = int((boxes[k, 3] - 1) * scale_x) - int(boxes[k, 1] * scale_x) + 2
        room += tall * wide
        largest = max(largest, tall * wide)
    weight_starts = np.zeros(count + 1, np.int64)
    places = np.empty(room, np.int64)
    weights = np.empty(room)
    sums = np.empty(largest)
    size = 0
    for k in range(count):
        top, left = int(boxes[k, 0] * scale_y), int(boxes[k, 1] * scale_x)
        tall = int((boxes[k, 2] - 1) * scale_y) - top + 2
        wide = int((boxes[k, 3] - 1) * scale_x) - left + 2
        sums[: tall * wide] = 0.0
        for p in range(starts[k], starts[k + 1]):
            y, x = rows[p] * scale_y, cols[p] * scale_x
            # Rounding may put the last row or column past the small image: it counts as 0 there.
            if y > height - 1 or x > width - 1:
                continue
            v, u = int(y), int(x)
            part_y, part_x = y - v, x - u
            at = (v - top) * wide + u - left
            sums[at] += (1 - part_y) * (1 - part_x)
            sums[at + 1] += (1 - part_y) * part_x
            sums[at + wide] += part_y * (1 - part_x)
            sums[at + wide + 1] += part_y * part_x
        for v in range(tall):
            for u in range(wide):
                if sums[v * wide + u] != 0.0:
                    places[size] = (v + top) * width + u + left
                    weights[size] = sums[v * wide + u] / (starts[k + 1] - starts[k])
                    size += 1
        weight_starts[k + 1] = size
    return weight_starts, places[:size].copy(), weights[:size].copy()


@kernel
def weighted_sums(
    image: NDArray[np.float64],
    weight_starts: NDArray[np.int64],
    places: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of weight * image at the given places, per object."""
    flat = image.ravel()
    out = np.empty(weight_starts.shape[0] - 1)
    for k in range(out.shape[0]):
        total = 0.0
        for i in range(weight_starts[k], weight_starts[k + 1]):
            total += weights[i] * flat[places[i]]
        out[k] = total
    return out
