"""Order of pixel values within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


@kernel
def sort_objects(
    codes: NDArray[np.unsignedinteger],
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Values sorted within each object, and dense ranks, by unsigned codes in the values' order.

    A rank counts the smaller distinct values of the object. Codes of a narrow range are counted,
    others sorted by radix: both take time proportional to the pixels. Counting needs values that
    are code / scale; a scale of 0 says that they are not.
    """
    ordered = np.empty(codes.shape[0])
    ranks = np.empty(codes.shape[0], np.int32)
    largest = 0
    for k in range(starts.shape[0] - 1):
        largest = max(largest, starts[k + 1] - starts[k])
    table = np.zeros(8 * largest + 1, np.int32)
    order = np.empty(largest, np.int32)
    spare = np.empty(largest, np.int32)
    for k in range(starts.shape[0] - 1):
        first, last = starts[k], starts[k + 1]
        low, high = np.min(codes[first:last]), np.max(codes[first:last])
        if scale > 0.0 and high - low <= 8 * (last - first):
            _count(codes, first, last, low, high, scale, table, ordered, ranks)
        else:
            _radix(codes, values, first, last, order, spare, ordered, ranks)
    return ordered, ranks


@kernel
def _count(
    codes: NDArray[np.unsignedinteger],
    first: int,
    last: int,
    low: int,
    high: int,
    scale: float,
    table: NDArray[np.int32],
    ordered: NDArray[np.float64],
    ranks: NDArray[np.int32],
) -> None:
    """Sort one object by counting its codes; `table` comes and goes as zeros."""
    for p in range(first, last):
        table[np.int64(codes[p] - low)] += 1
    at, rank = first, 0
    for code in range(np.int64(high - low) + 1):
        count = table[code]
        if count > 0:
            table[code] = rank
            rank += 1
            value = np.float64(code + np.int64(low)) / scale
            for _ in range(count):
                ordered[at] = value
                at += 1
    for p in range(first, last):
        ranks[p] = table[np.int64(codes[p] - low)]
    table[: np.int64(high - low) + 1] = 0


@kernel
def _radix(
    codes: NDArray[np.unsignedinteger],
    values: NDArray[np.float64],
    first: int,
    last: int,
    order: NDArray[np.int32],
    spare: NDArray[np.int32],
    ordered: NDArray[np.float64],
    ranks: NDArray[np.int32],
) -> None:
    """Sort one object by its codes, eight bits a pass."""
    size = last - first
    bins = np.empty(257, np.int64)
    for i in range(size):
        order[i] = first + i
    for shift in range(0, codes.itemsize * 8, 8):
        bins[:] = 0
        for p in range(first, last):
            bins[((codes[p] >> shift) & 255) + 1] += 1
        if bins[((codes[first] >> shift) & 255) + 1] == size:
            continue
        for b in range(256):
            bins[b + 1] += bins[b]
        for i in range(size):
            b = (codes[order[i]] >> shift) & 255
            spare[bins[b]] = order[i]
            bins[b] += 1
        order[:size] = spare[:size]
    rank = 0
    for i in range(size):
        p = order[i]
        if i > 0 and codes[p] != codes[order[i - 1]]:
            rank += 1
        ranks[p] = rank
        ordered[first + i] = values[p]
