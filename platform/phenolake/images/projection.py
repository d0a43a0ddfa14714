"""Make one plane of a z stack: by maximum, by mean, or the plane in best focus."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from phenolake.errors import ImageReadError


def project(planes: Iterable[np.ndarray], method: str, where: str) -> np.ndarray:
    """One plane, shape (y, x), of the stack's dtype; planes are read one after the other.

    `mean` is rounded to the nearest integer for integer pixels; of planes in equal focus the
    first is taken.

    Raises
    ------
    ImageReadError
        If planes differ in shape; `where` names the stack.
    """
    steps = {"maximum": np.maximum, "mean": np.add}
    first: np.ndarray | None = None
    result: np.ndarray | None = None
    count, best = 0, -1.0
    for plane in planes:
        if first is None:
            first = plane
        elif plane.shape != first.shape:
            raise ImageReadError(where, f"expected shape {first.shape}, got {plane.shape}")
        count += 1
        if method == "best_focus":
            focus = laplacian_energy(plane)
            if focus > best:
                best, result = focus, plane
        elif result is None:
            result = plane.astype(np.float64) if method == "mean" else plane
        else:
            result = steps[method](result, plane)
    if first is None or result is None:
        raise ImageReadError(where, "a stack without planes")
    if method != "mean":
        return result
    mean = result / count
    return (np.rint(mean) if np.issubdtype(first.dtype, np.integer) else mean).astype(first.dtype)


def laplacian_energy(plane: np.ndarray) -> float:
    """Mean square of the 4-neighbour Laplacian over the plane's inner pixels; 0 below 3 x 3.

    References
    ----------
    Energy of Laplacian; Subbarao et al., Optical Engineering 32:2824 (1993).
    """
    if min(plane.shape) < 3:
        return 0.0
    p = plane.astype(np.float32)
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]
    return float(np.mean(np.square(laplacian, dtype=np.float64)))
