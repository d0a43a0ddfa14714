"""Power moments of objects in the unit disk of their enclosing circle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.features.kernels.compiler import kernel


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
    line = np.zeros((kinds, terms))
    powers = np.empty(terms)
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        line[:] = 0.0
        for p in range(first, last):
            y = (rows[p] - centres[k, 0]) / radii[k]
            x = (cols[p] - centres[k, 1]) / radii[k]
            if not x * x + y * y > 1.0:
                power = 1.0
                for q in range(terms):
                    powers[q] = power
                    power *= x
                for c in range(kinds):
                    weight = weights[c, p]
                    for q in range(terms):
                        line[c, q] += weight * powers[q]
            if p + 1 == last or rows[p + 1] != rows[p]:
                power = 1.0
                for i in range(terms):
                    for c in range(kinds):
                        for q in range(terms - i):
                            out[k, c, i, q] += power * line[c, q]
                    power *= y
                line[:] = 0.0
    return out
