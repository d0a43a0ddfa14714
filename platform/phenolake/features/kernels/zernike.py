"""Power moments of objects in the unit disk of their enclosing circle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel, summing_kernel

_LANES = 8


@kernel
def disk_moments(
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    weights: NDArray[np.float64],
    degree: int,
) -> NDArray[np.float64]:
    """Sums of weight * y**p * x**q over each object, p + q <= degree, for several weights.

    `weights` has shape (weights, pixels); y and x count from the circle's centre in radii. Pixels
    that rounding puts outside the circle are left out, as CellProfiler does. Shape (objects,
    weights, degree + 1, degree + 1).

    The power of x is summed along a row before that of y enters, which takes a sixth of the work
    of evaluating every polynomial at every pixel.
    """
    count = starts.shape[0] - 1
    kinds = weights.shape[0]
    terms = degree + 1
    out = np.zeros((count, kinds, terms, terms))
    longest = 0
    for k in range(count):
        longest = max(longest, int(np.max(cols[starts[k] : starts[k + 1]])) + 1)
    across = np.empty(longest)
    powers = np.empty((terms, longest + _LANES))
    padded = np.empty(longest + _LANES)
    line = np.empty((kinds, terms))
    for k in range(count):
        first = starts[k]
        while first < starts[k + 1]:
            last = first + 1
            while last < starts[k + 1] and rows[last] == rows[first]:
                last += 1
            size = last - first
            y = (rows[first] - centres[k, 0]) / radii[k]
            for i in range(size):
                x = (cols[first + i] - centres[k, 1]) / radii[k]
                across[i] = x
                powers[0, i] = 0.0 if x * x + y * y > 1.0 else 1.0
            _fill_powers(across[:size], powers)
            padded_size = (size + _LANES - 1) // _LANES * _LANES
            padded[size:padded_size] = 0.0
            for c in range(kinds):
                for i in range(size):
                    padded[i] = weights[c, first + i]
                _dots(padded, powers, padded_size, line[c])
            power = 1.0
            for i in range(terms):
                for c in range(kinds):
                    for q in range(terms - i):
                        out[k, c, i, q] += power * line[c, q]
                power *= y
            first = last
    return out


@kernel
def _fill_powers(x: NDArray[np.float64], powers: NDArray[np.float64]) -> None:
    """Rows of powers of x times the first row; past the end of x they are 0."""
    size = x.shape[0]
    for q in range(powers.shape[0]):
        powers[q, size : size + _LANES] = 0.0
    for q in range(1, powers.shape[0]):
        before, after = powers[q - 1], powers[q]
        for i in range(size):
            after[i] = before[i] * x[i]


@summing_kernel
def _dots(
    weights: NDArray[np.float64],
    powers: NDArray[np.float64],
    size: int,
    out: NDArray[np.float64],
) -> None:
    """Sums of the weights times each row of powers, over a whole number of lanes."""
    for q in range(out.shape[0]):
        total = 0.0
        for block in range(0, size, _LANES):
            # A loop of known length runs in vector registers.
            for lane in range(_LANES):
                i = np.uint64(block + lane)
                total += weights[i] * powers[np.uint64(q), i]
        out[q] = total
