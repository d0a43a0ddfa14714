"""Zernike moments: of the object's shape, and of the intensity inside it.

Degrees 0 to 9 in the object's smallest enclosing circle, as CellProfiler 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import comb, factorial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_DEGREE = 9
_INDICES = tuple((n, m) for n in range(_DEGREE + 1) for m in range(n % 2, n + 1, 2))


def shape_names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure_shape`."""
    return [
        FeatureName(compartment, "AreaShape", "Zernike", (), (str(n), str(m))) for n, m in _INDICES
    ]


def radial_names(compartment: str, channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure_radial`."""
    return [
        FeatureName(compartment, "RadialDistribution", measure, (channel,), (str(n), str(m)))
        for channel in channels
        for measure in ("ZernikeMagnitude", "ZernikePhase")
        for n, m in _INDICES
    ]


def measure_shape(compartment: Compartment) -> NDArray[np.float64]:
    """Magnitude of each shape moment over the circle's area, float64 (objects, 30).

    NaN for one-pixel objects, whose circle has no area.

    References
    ----------
    Boland, Markey and Murphy (1998), Cytometry 33, 366-375.
    """
    ones = np.ones((1, compartment.objects.rows.size))
    moments = _moments(compartment, ones)[:, 0]
    _, radii = compartment.objects.enclosing_circles
    areas = np.where(radii > 0, np.pi * radii * radii, np.nan)
    return np.abs(moments) / areas[:, None]


def measure_radial(compartment: Compartment) -> NDArray[np.float64]:
    """Magnitude per pixel and phase of the intensity's moments, float64 (objects, channels * 60).

    The phase is the angle of (real, imaginary) and not of (imaginary, real), as in CellProfiler.
    NaN for one-pixel objects.
    """
    moments = _moments(compartment, compartment.values)
    _, radii = compartment.objects.enclosing_circles
    moments[radii == 0] = np.nan
    magnitude = np.abs(moments) / compartment.objects.areas[:, None, None]
    phase = np.arctan2(moments.real, moments.imag)
    both = np.stack([magnitude, phase], axis=2)
    return both.reshape(compartment.objects.count, -1)


def _moments(compartment: Compartment, weights: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Weighted sums of the Zernike polynomials, complex (objects, weights, 30)."""
    from phenolake.features.kernels.zernike import disk_moments

    objects = compartment.objects
    centres, radii = objects.enclosing_circles
    powers = disk_moments(
        objects.starts, objects.rows, objects.cols, centres, radii, weights, _DEGREE
    )
    # Sparse, and so one object's sums do not depend on how many others there are (BLAS' do).
    moments = _coefficients() @ powers.reshape(-1, (_DEGREE + 1) ** 2).T
    return moments.T.reshape(*powers.shape[:2], len(_INDICES))


@cache
def _coefficients() -> csr_array:
    """Each Zernike polynomial as a sum of y**p * x**q, complex (30, 100), place 10 * p + q.

    The polynomial is R(r**2) * (y + ix)**m with r**2 = x**2 + y**2.
    """
    from scipy.sparse import csr_array

    table = np.zeros((len(_INDICES), _DEGREE + 1, _DEGREE + 1), complex)
    for index, (n, m) in enumerate(_INDICES):
        half = (n - m) // 2
        for k in range(half + 1):
            radial = (-1) ** k * factorial(n - k)
            radial //= factorial(k) * factorial((n + m) // 2 - k) * factorial(half - k)
            for s in range(half - k + 1):
                for j in range(m + 1):
                    p, q = 2 * s + m - j, 2 * (half - k - s) + j
                    table[index, p, q] += radial * comb(half - k, s) * comb(m, j) * 1j**j
    return csr_array(table.reshape(len(_INDICES), -1))
