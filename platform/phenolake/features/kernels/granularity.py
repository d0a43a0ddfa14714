"""Erosion and reconstruction of an image, and object means of an image at another scale."""

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
def component_parents(image: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tree of the image's 4-connected bright components, as the parent of each pixel.

    `order` lists the pixels from bright to dark. A pixel's descendants are the brighter part of
    its component (max-tree; Berger et al. 2007). The last pixel of a component is its own parent.
    """
    height, width = image.shape
    parent = np.full(height * width, -1, np.int64)
    root = np.empty(height * width, np.int64)
    for pixel in order:
        parent[pixel] = pixel
        root[pixel] = pixel
        y, x = pixel // width, pixel % width
        for side in range(4):
            v = y + (1 if side == 0 else -1 if side == 1 else 0)
            u = x + (1 if side == 2 else -1 if side == 3 else 0)
            if v < 0 or u < 0 or v >= height or u >= width or parent[v * width + u] < 0:
                continue
            top = v * width + u
            while root[top] != top:
                root[top] = root[root[top]]
                top = root[top]
            if top != pixel:
                root[top] = pixel
                parent[top] = pixel
    return parent


@kernel
def reconstruct(
    markers: NDArray[np.float64],
    mask: NDArray[np.float64],
    order: NDArray[np.int64],
    parent: NDArray[np.int64],
) -> None:
    """Dilate each marker under the mask until nothing changes, 4-connected, in place.

    `markers` is (pixels, markers), nowhere above `mask` (pixels). A component of the mask keeps
    the level that its highest marker pixel reaches, or what the component around it keeps.
    """
    count = markers.shape[1]
    for pixel in order:
        above = parent[pixel]
        for i in range(count):
            markers[above, i] = max(markers[above, i], markers[pixel, i])
    for place in range(order.shape[0] - 1, -1, -1):
        pixel = order[place]
        above = parent[pixel]
        level = mask[pixel]
        for i in range(count):
            kept = min(level, markers[pixel, i])
            markers[pixel, i] = kept if above == pixel else max(kept, markers[above, i])


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
    images: NDArray[np.float64],
    weight_starts: NDArray[np.int64],
    places: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sums of weight * image at the given places, for images (pixels, images); (objects, images)."""
    count = weight_starts.shape[0] - 1
    out = np.zeros((count, images.shape[1]))
    for k in range(count):
        for i in range(weight_starts[k], weight_starts[k + 1]):
            weight, place = weights[i], places[i]
            for c in range(images.shape[1]):
                out[k, c] += weight * images[place, c]
    return out
