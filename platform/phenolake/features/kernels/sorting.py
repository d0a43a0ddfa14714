"""Order of pixel values within each object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel

_DIGIT_BITS = 11


@kernel
def sort_objects(
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    scale: float,
    ordered: NDArray[np.float64],
    ranks: NDArray[np.int32],
) -> None:
    """Write the values sorted within each object and their dense ranks, all (channels, pixels).

    A rank counts the smaller distinct values of the object. With a scale above 0 values times the
    scale are whole numbers of at most 32 bits, with 0 values are float32. Sorted by radix over the
    bits in which the object's values differ: time is proportional to the pixels.
    """
    channels = values.shape[0]
    largest = 0
    for k in range(starts.shape[0] - 1):
        largest = max(largest, starts[k + 1] - starts[k])
    codes = np.empty(largest, np.uint32)
    single = np.empty(largest, np.float32)
    # A code above the place in the object that it came from.
    keys = np.empty(largest, np.uint64)
    spare = np.empty(largest, np.uint64)
    bins = np.empty(1 << _DIGIT_BITS, np.int64)
    half, low_half = np.uint64(32), np.uint64(0xFFFFFFFF)
    for k in range(starts.shape[0] - 1):
        first, size = starts[k], starts[k + 1] - starts[k]
        for c in range(channels):
            here = values[c, first : first + size]
            lowest, highest = _codes(here, scale, single[:size], codes[:size])
            for i in range(size):
                keys[i] = (np.uint64(codes[i] - lowest) << half) | np.uint64(i)
            bits = 0
            while np.uint64(highest - lowest) >> np.uint64(bits):
                bits += 1
            passes = (bits + _DIGIT_BITS - 1) // _DIGIT_BITS
            width = (bits + passes - 1) // max(passes, 1)
            for i in range(passes):
                _pass(keys[:size], spare[:size], 32 + i * width, bins[: 1 << width])
                keys, spare = spare, keys
            in_order = ordered[c, first : first + size]
            of_pixel = ranks[c, first : first + size]
            rank = np.int32(-1)
            before = low_half
            for i in range(size):
                code, place = keys[i] >> half, keys[i] & low_half
                rank += np.int32(code != before)
                before = code
                of_pixel[place] = rank
                in_order[i] = here[place]


@kernel
def _codes(
    values: NDArray[np.float64],
    scale: float,
    single: NDArray[np.float32],
    codes: NDArray[np.uint32],
) -> tuple[np.uint32, np.uint32]:
    """Write unsigned integers in the order of the values; returns the lowest and the highest."""
    if scale > 0.0:
        for i in range(values.shape[0]):
            codes[i] = np.uint32(np.int64(np.rint(values[i] * scale)) + (1 << 31))
    else:
        # Bits sort as an unsigned number once negatives are flipped; + 0.0 joins both zeros.
        for i in range(values.shape[0]):
            single[i] = np.float32(values[i] + 0.0)
        bits = single.view(np.uint32)
        sign = np.uint32(1 << 31)
        for i in range(values.shape[0]):
            codes[i] = ~bits[i] if bits[i] & sign else bits[i] | sign
    lowest, highest = codes[0], codes[0]
    for i in range(values.shape[0]):
        lowest, highest = min(lowest, codes[i]), max(highest, codes[i])
    return lowest, highest


@kernel
def _pass(
    keys: NDArray[np.uint64], out: NDArray[np.uint64], shift: int, bins: NDArray[np.int64]
) -> None:
    """Sort the keys by one digit, equal ones in their order."""
    mask = np.uint64(bins.shape[0] - 1)
    by = np.uint64(shift)
    bins[:] = 0
    for i in range(keys.shape[0]):
        bins[(keys[i] >> by) & mask] += 1
    at = 0
    for b in range(bins.shape[0]):
        count = bins[b]
        bins[b] = at
        at += count
    for i in range(keys.shape[0]):
        b = (keys[i] >> by) & mask
        out[np.uint64(bins[b])] = keys[i]
        bins[b] += 1


@kernel
def sort_doubles(
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    ordered: NDArray[np.float64],
    ranks: NDArray[np.int32],
) -> None:
    """The same of any values, by comparing them."""
    for k in range(starts.shape[0] - 1):
        first, last = starts[k], starts[k + 1]
        for c in range(values.shape[0]):
            here = values[c, first:last]
            order = np.argsort(here)
            rank = 0
            for i in range(last - first):
                place = order[i]
                ordered[c, first + i] = here[place]
                if i > 0 and here[place] != ordered[c, first + i - 1]:
                    rank += 1
                ranks[c, first + place] = rank
