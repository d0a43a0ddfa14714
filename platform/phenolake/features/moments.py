"""Moments: optional moments of AreaShape (spatial, central, normalized, Hu, inertia).

Definitions and names as CellProfiler 4 (MeasureObjectSizeShape, advanced features).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

_ORDERS = tuple((str(p), str(q)) for p in range(3) for q in range(4))
#: Below the second order they have no meaning; CellProfiler's columns of them are empty.
_NORMALIZED = tuple((str(p), str(q)) for p in range(4) for q in range(4) if p + q > 1)


def names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`."""
    named = [
        *(("SpatialMoment", order) for order in _ORDERS),
        *(("CentralMoment", order) for order in _ORDERS),
        *(("NormalizedMoment", order) for order in _NORMALIZED),
        *(("HuMoment", (str(i),)) for i in range(7)),
        *(("InertiaTensor", (str(i), str(j))) for i in range(2) for j in range(2)),
        *(("InertiaTensorEigenvalues", (str(i),)) for i in range(2)),
    ]
    return [FeatureName(compartment, "AreaShape", name, (), order) for name, order in named]


def measure(compartment: Compartment) -> NDArray[np.float64]:
    """Moments of each object, float64 (objects, 50); p counts rows and q columns, in pixels.

    `SpatialMoment_p_q` is taken from the corner of the bounding box, `CentralMoment_p_q` from the
    centroid, `NormalizedMoment_p_q` is the central one over area ** ((p + q) / 2 + 1).

    References
    ----------
    Hu (1962), IRE Trans. Information Theory 8, 179-187.
    """
    from phenolake.features.kernels.moments import position_moments

    objects = compartment.objects
    places = objects.starts, objects.rows, objects.cols
    spatial = position_moments(*places, objects.boxes[:, :2].astype(np.float64))
    central = position_moments(*places, objects.centroids)
    # About the centroid they are 0; what is left is rounding.
    central[:, 0, 1] = central[:, 1, 0] = 0.0
    order = np.add.outer(np.arange(4), np.arange(4))
    normalized = central / objects.areas[:, None, None] ** (order / 2 + 1)
    tensor, eigenvalues = _inertia(central, objects.areas)
    return np.concatenate(
        [
            spatial[:, :3].reshape(objects.count, -1),
            central[:, :3].reshape(objects.count, -1),
            normalized[:, order > 1],
            _hu(normalized),
            tensor,
            eigenvalues,
        ],
        axis=1,
    )


def _hu(nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hu's seven moments, shape (objects, 7)."""
    a, b = nu[:, 3, 0] + nu[:, 1, 2], nu[:, 2, 1] + nu[:, 0, 3]
    c, d = nu[:, 3, 0] - 3 * nu[:, 1, 2], 3 * nu[:, 2, 1] - nu[:, 0, 3]
    difference = nu[:, 2, 0] - nu[:, 0, 2]
    first, second = a * (a * a - 3 * b * b), b * (3 * a * a - b * b)
    return np.column_stack(
        [
            nu[:, 2, 0] + nu[:, 0, 2],
            difference**2 + 4 * nu[:, 1, 1] ** 2,
            c * c + d * d,
            a * a + b * b,
            c * first + d * second,
            difference * (a * a - b * b) + 4 * nu[:, 1, 1] * a * b,
            d * first - c * second,
        ]
    )


def _inertia(
    central: NDArray[np.float64], area: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inertia tensor row by row (objects, 4), and its eigenvalues, the larger first (objects, 2)."""
    yy, xx, yx = (central[:, p, q] / area for p, q in ((2, 0), (0, 2), (1, 1)))
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, yx)
    eigenvalues = np.column_stack([middle + spread, np.maximum(middle - spread, 0.0)])
    return np.column_stack([xx, -yx, -yx, yy]), eigenvalues
