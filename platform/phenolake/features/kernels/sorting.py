"""Order of pixel values within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def rank_objects(
    codes: NDArray[np.unsignedinteger], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Order and dense rank of each object's pixels by unsigned code.

    Stable radix sort, eight bits a pass. `order` holds positions in the pixel list; `ranks` counts
    the smaller distinct values of the object, from 0.
    """
    count = starts.shape[0] - 1
    order = np.empty(codes.shape[0], np.int32)
    ranks = np.empty(codes.shape[0], np.int32)
    largest = 0
    for k in range(count):
        largest = max(largest, starts[k + 1] - starts[k])
    spare = np.empty(largest, np.int32)
    bins = np.empty(257, np.int64)
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        size = last - first
        here = order[first:last]
        for i in range(size):
            here[i] = first + i
        for shift in range(0, codes.itemsize * 8, 8):
            bins[:] = 0
            for p in range(first, last):
                bins[((codes[p] >> shift) & 255) + 1] += 1
            if bins[((codes[first] >> shift) & 255) + 1] == size:
                continue
            for b in range(256):
                bins[b + 1] += bins[b]
            for i in range(size):
                p = here[i]
                b = (codes[p] >> shift) & 255
                spare[bins[b]] = p
                bins[b] += 1
            here[:] = spare[:size]
        rank = 0
        for i in range(size):
            if i > 0 and codes[here[i]] != codes[here[i - 1]]:
                rank += 1
            ranks[here[i]] = rank
    return order, ranks
