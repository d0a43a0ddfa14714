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
        above, row, below = image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)]
        line = out[y]
        for x in range(width):
            line[x] = min(row[x], min(above[x], below[x]))
        left, right = row[: width - 1], row[1:]
        inner = line[1:]
        for x in range(width - 1):
            inner[x] = min(inner[x], left[x])
        for x in range(width - 1):
            line[x] = min(line[x], right[x])
    return out


@kernel
def component_parents(height: int, width: int, order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Tree of an image's 4-connected bright components, as the parent of each pixel.

    `order` lists the pixels from bright to dark. A pixel's descendants are the brighter part of
    its component (max-tree; Berger et al. 2007). The last pixel of a component is its own parent.
    """
    parent = np.full(height * width, -1, np.int32)
    # Sets of joined pixels: of each its members lead to one of them, which knows size and darkest.
    member = np.empty(height * width, np.int32)
    sizes = np.ones(height * width, np.int32)
    darkest = np.empty(height * width, np.int32)
    sides = (-width, width, -1, 1)
    for place in order:
        pixel = np.int32(place)
        parent[np.uint64(pixel)] = pixel
        member[np.uint64(pixel)] = pixel
        darkest[np.uint64(pixel)] = pixel
        x = np.uint32(pixel) % np.uint32(width)
        inside = pixel >= width, pixel + width < height * width, x > 0, x + 1 < width
        own = pixel
        for side in range(4):
            if not inside[side]:
                continue
            other = np.int32(pixel + sides[side])
            if parent[np.uint64(other)] < 0:
                continue
            while member[np.uint64(other)] != other:
                member[np.uint64(other)] = member[np.uint64(member[np.uint64(other)])]
                other = member[np.uint64(other)]
            if other == own:
                continue
            parent[np.uint64(darkest[np.uint64(other)])] = pixel
            # The smaller set joins the larger, which keeps the ways short.
            if sizes[np.uint64(other)] > sizes[np.uint64(own)]:
                own, other = other, own
            member[np.uint64(other)] = own
            sizes[np.uint64(own)] += sizes[np.uint64(other)]
            darkest[np.uint64(own)] = pixel
    return parent


@kernel
def reconstruct(
    markers: NDArray[np.float64],
    mask: NDArray[np.float64],
    order: NDArray[np.int64],
    parent: NDArray[np.int32],
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
