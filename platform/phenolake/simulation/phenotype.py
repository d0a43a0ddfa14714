"""How cells look, as named parameters, and how a dose changes them.

Every parameter is positive and every effect multiplies, so effects of dose, cell and plate combine.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

#: Population: cells per field, share of clumped, mitotic and apoptotic cells.
POPULATION = ("density", "clumping", "mitotic", "apoptotic")
#: Outlines. Sizes are radii in units of the assay's nucleus and cell radius.
SHAPE = (
    "nucleus_size",
    "nucleus_elongation",
    "nucleus_lobes",
    "nucleus_spread",
    "cell_size",
    "cell_elongation",
    "cell_raggedness",
)
#: Arrangement of the structures inside a cell.
TEXTURE = (
    "chromatin_grain",
    "nucleoli_size",
    "reticulum_reach",
    "golgi_spread",
    "mito_reach",
    "mito_fragmentation",
    "puncta_count",
    "vacuoles",
)
#: Amounts of the structures; a stain is a mixture of these.
STRUCTURES = (
    "chromatin",
    "nucleoli",
    "nucleoplasm",
    "cytoplasm",
    "reticulum",
    "golgi",
    "cortex",
    "fibres",
    "mitochondria",
    "puncta",
)
PARAMETERS = (*POPULATION, *SHAPE, *TEXTURE, *STRUCTURES)

#: An untreated cell; parameters that are not listed are 1.
BASELINE: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(PARAMETERS, 1.0),
        "clumping": 0.45,
        "mitotic": 0.03,
        "apoptotic": 0.008,
        "nucleus_elongation": 1.25,
        "nucleus_lobes": 0.040,
        "nucleus_spread": 0.09,
        "cell_elongation": 1.35,
        "cell_raggedness": 0.115,
        "chromatin_grain": 0.22,
        "reticulum_reach": 0.38,
        "mito_reach": 0.50,
        "vacuoles": 0.06,
    }
)

#: What a cell stage changes, on top of the treatment.
MITOTIC: Mapping[str, float] = MappingProxyType(
    {
        "nucleus_size": 0.72,
        "nucleus_elongation": 1.9,
        "cell_size": 0.62,
        "cell_elongation": 0.78,
        "cell_raggedness": 0.4,
        "chromatin": 2.3,
        "nucleoli": 0.05,
        "cytoplasm": 1.7,
        "reticulum": 1.4,
        "cortex": 1.5,
        "fibres": 0.2,
        "golgi": 0.3,
    }
)
APOPTOTIC: Mapping[str, float] = MappingProxyType(
    {
        "nucleus_size": 0.55,
        "nucleus_lobes": 4.5,
        "cell_size": 0.50,
        "cell_elongation": 0.85,
        "cell_raggedness": 2.2,
        "chromatin": 2.6,
        "nucleoli": 0.2,
        "cytoplasm": 1.5,
        "mitochondria": 0.4,
        "fibres": 0.2,
        "puncta": 7.0,
        "puncta_count": 1.4,
    }
)

#: Cell-to-cell spread: standard deviation of the natural logarithm.
_SPREAD_OF_KIND = {SHAPE: 0.07, TEXTURE: 0.12, STRUCTURES: 0.15}
SPREAD: Mapping[str, float] = MappingProxyType(
    {name: spread for names, spread in _SPREAD_OF_KIND.items() for name in names}
)


def hill_response(concentration: float, ec50: float, slope: float = 1.0) -> float:
    """Share of the full effect at a dose, 0 to 1: `c^h / (ec50^h + c^h)`.

    References
    ----------
    A. V. Hill, J. Physiol. 40 (1910), iv-vii.
    """
    if concentration <= 0:
        return 0.0
    return float(1.0 / (1.0 + (ec50 / concentration) ** slope))


def phenotype_at(effects: Mapping[str, float], response: float) -> dict[str, float]:
    """Parameters of the typical cell at a share of the full effect.

    `effects` holds factors at full response; between, factors grow geometrically, so every
    parameter is monotone in the dose. Fractions stay at or below 0.9.
    """
    phenotype = {
        name: value * effects.get(name, 1.0) ** response for name, value in BASELINE.items()
    }
    for fraction in ("clumping", "mitotic", "apoptotic"):
        phenotype[fraction] = min(phenotype[fraction], 0.9)
    return phenotype


def spread_factors(rng: np.random.Generator, cells: int) -> dict[str, np.ndarray]:
    """Random factors per cell for shape, texture and amounts; float64, shape (cells,), median 1."""
    return {name: np.exp(rng.normal(0.0, sd, cells)) for name, sd in SPREAD.items()}
