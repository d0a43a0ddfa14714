"""The cells of one field: how many, where, and what each one is like."""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

from phenolake.simulation.assays import Assay
from phenolake.simulation.phenotype import (
    APOPTOTIC,
    MITOTIC,
    SHAPE,
    STRUCTURES,
    TEXTURE,
    spread_factors,
)

STAGES = ("interphase", "mitotic", "apoptotic")
_OF_CELL = (*SHAPE, *TEXTURE, *STRUCTURES)
#: A cell as the compiled kernels see it: place, then every parameter of shape, texture and amount.
CELL = np.dtype(
    [(name, np.float32) for name in ("y", "x", "angle", "golgi_angle", *_OF_CELL)]
    + [("texture_y", np.int32), ("texture_x", np.int32), ("stage", np.int8)]
)
_TRIALS = 24


def populate(
    rng: np.random.Generator,
    assay: Assay,
    phenotype: Mapping[str, float],
    size: int,
    stain_variation: float = 0.08,
) -> np.ndarray:
    """Cells of a field; structured array of dtype `CELL`, centres in pixels.

    Centres may lie up to half a cell radius outside the field, as cells cut by its edge do.
    Crowded fields may hold fewer cells than the density asks for: nuclei don't overlap much.
    """
    margin = 0.5 * assay.cell_radius * phenotype["cell_size"]
    extent = size + 2 * margin
    expected = phenotype["density"] * assay.cells_per_megapixel * extent**2 / 1e6
    count = max(1, int(rng.poisson(expected)))
    cells = np.zeros(count, CELL)
    stage = rng.choice(3, count, p=_stage_odds(phenotype))
    factors = spread_factors(rng, count)
    brightness = np.exp(rng.normal(0.0, stain_variation, count))
    for name in _OF_CELL:
        values = phenotype[name] * factors[name]
        for code, effects in ((1, MITOTIC), (2, APOPTOTIC)):
            if name in effects:
                values = np.where(stage == code, values * effects[name], values)
        cells[name] = values * brightness if name in STRUCTURES else values
    _grow_through_cycle(rng, cells, phenotype["nucleus_spread"])
    cells["stage"] = stage
    cells["angle"] = rng.uniform(0, 2 * np.pi, count)
    cells["golgi_angle"] = rng.uniform(0, 2 * np.pi, count)
    cells["texture_y"] = rng.integers(0, 1 << 16, count)
    cells["texture_x"] = rng.integers(0, 1 << 16, count)
    return _placed(rng, cells, assay, phenotype["clumping"], extent, margin)


def _stage_odds(phenotype: Mapping[str, float]) -> list[float]:
    apoptotic = phenotype["apoptotic"]
    mitotic = min(phenotype["mitotic"], 0.95 - apoptotic)
    return [1.0 - mitotic - apoptotic, mitotic, apoptotic]


def _grow_through_cycle(rng: np.random.Generator, cells: np.ndarray, spread: float) -> None:
    """Nuclei grow with their DNA content (1 to 2), then vary by the treatment's spread."""
    content = np.clip(rng.beta(0.9, 1.5, len(cells)) + 1.0, 1.0, 2.0)
    growth = (content / 1.35) ** 0.4 * np.exp(rng.normal(0.0, spread, len(cells)))
    cells["nucleus_size"] *= growth
    cells["cell_size"] *= growth**0.5


def _placed(
    rng: np.random.Generator,
    cells: np.ndarray,
    assay: Assay,
    clumping: float,
    extent: float,
    margin: float,
) -> np.ndarray:
    radii = assay.nucleus_radius * cells["nucleus_size"] * np.sqrt(cells["nucleus_elongation"])
    reach = assay.cell_radius * cells["cell_size"]
    draws = rng.random((len(cells), _TRIALS, 4))
    centres, kept = _throw(
        radii.astype(np.float64), reach.astype(np.float64), clumping, extent, draws
    )
    cells["y"], cells["x"] = (centres - margin).T
    return cells[kept]


@numba.njit(cache=True)
def _throw(
    radii: np.ndarray, reach: np.ndarray, clumping: float, extent: float, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Place discs one after another, beside an earlier one with odds `clumping`, else anywhere."""
    count, trials = draws.shape[0], draws.shape[1]
    centres = np.zeros((count, 2))
    kept = np.zeros(count, np.bool_)
    placed = np.zeros(count, np.int64)
    n = 0
    for i in range(count):
        for t in range(trials):
            u, v, w, z = draws[i, t, 0], draws[i, t, 1], draws[i, t, 2], draws[i, t, 3]
            if n > 0 and z < clumping:
                parent = placed[int(u * n)]
                gap = (radii[i] + radii[parent]) * 0.97
                distance = gap + w * w * max(0.0, 0.9 * (reach[i] + reach[parent]) - gap)
                y = centres[parent, 0] + distance * np.sin(2 * np.pi * v)
                x = centres[parent, 1] + distance * np.cos(2 * np.pi * v)
            else:
                y, x = u * extent, v * extent
            if y < 0 or x < 0 or y >= extent or x >= extent:
                continue
            free = True
            for k in range(n):
                j = placed[k]
                dy, dx = centres[j, 0] - y, centres[j, 1] - x
                least = 0.96 * (radii[i] + radii[j])
                if dy * dy + dx * dx < least * least:
                    free = False
                    break
            if free:
                centres[i, 0], centres[i, 1] = y, x
                kept[i] = True
                placed[n] = i
                n += 1
                break
    return centres, kept
