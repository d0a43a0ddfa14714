"""One simulated field of view with its truth: a pure function of plan, plate, well and site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.identity import OBJECT, PLATE, SITE, WELL, Well
from phenolake.simulation import seeds
from phenolake.simulation.assays import ASSAYS
from phenolake.simulation.layout import Treatment, plate_layout
from phenolake.simulation.noise_fields import noise_fields
from phenolake.simulation.optics import OUT_OF_FOCUS, acquisition, add_dirt, expose, position_gain
from phenolake.simulation.outlines import assign_pixels, outlines, true_labels
from phenolake.simulation.plan import SimulationPlan
from phenolake.simulation.population import CELL, STAGES, populate
from phenolake.simulation.staining import stain

#: Nucleus radius, in pixels, for which the texture lengths were chosen.
_TEXTURE_RADIUS = 12.5


@dataclass(frozen=True)
class SimulatedSite:
    """A field of view and what is true about it.

    Attributes
    ----------
    image
        uint16, shape (channel, y, x).
    nuclei, cells
        int32, shape (y, x); 0 = background; a cell and its nucleus share their number.
    table
        One row per numbered cell: keys, centre of the nucleus in pixels, areas, stage, treatment.
    in_focus
        Whether the field was taken in focus.
    dirt
        Pieces of dirt in the field.
    """

    image: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    table: pl.DataFrame
    in_focus: bool
    dirt: int


def simulate_site(plan: SimulationPlan, plate: str, well: str, site: int) -> SimulatedSite:
    """Return the field `site` (from 1) of a well, the same whatever was simulated before.

    Raises
    ------
    ConfigurationError
        If the plan has no such plate, well or site.

    Examples
    --------
    >>> field = simulate_site(SimulationPlan(size=128), "P01", "B03", 1)
    >>> field.image.shape, field.image.dtype.name
    ((5, 128, 128), 'uint16')
    """
    place = Well.parse(well)
    treatment = plate_layout(plan, plate).get(place)
    if treatment is None or not 1 <= site <= plan.sites:
        raise ConfigurationError(f"the plan has no site {site} in well {well} of plate {plate}")
    assay, setting = ASSAYS[plan.preset], acquisition(plan, plate)
    rng = seeds.generator(plan, seeds.SITE, plan.plate_number(plate), place.row, place.column, site)
    in_focus = bool(rng.random() >= OUT_OF_FOCUS)
    phenotype = treatment.phenotype
    phenotype["density"] *= setting.density * float(np.exp(rng.normal(0, 0.06)))
    is_empty = treatment.control == "empty"
    cells = np.zeros(0, CELL) if is_empty else populate(rng, assay, phenotype, plan.size)
    nucleus = outlines(
        rng,
        assay.nucleus_radius * cells["nucleus_size"],
        cells["nucleus_elongation"],
        cells["angle"],
        cells["nucleus_lobes"],
        (2, 6),
    )
    body = outlines(
        rng,
        assay.cell_radius * cells["cell_size"],
        cells["cell_elongation"],
        cells["angle"],
        cells["cell_raggedness"],
        (1, 9),
    )
    body = np.maximum(body, 1.12 * nucleus)
    in_nucleus, owner, second = assign_pixels(cells["y"], cells["x"], nucleus, body, plan.size)
    scale = assay.nucleus_radius / _TEXTURE_RADIUS
    light = stain(
        cells, nucleus, body, owner, in_nucleus, second, noise_fields(scale), assay.mixture, scale
    )
    dirt = add_dirt(rng, light, assay.nucleus_radius)
    image = expose(
        rng, light, assay, setting, position_gain(plan, place.row, place.column), in_focus
    )
    nuclei, labels, kept = true_labels(in_nucleus, owner, len(cells))
    table = _cell_table(plate, place.name, site, treatment, cells[kept - 1], nuclei, labels)
    return SimulatedSite(image, nuclei, labels, table, in_focus, dirt)


def _cell_table(
    plate: str, well: str, site: int, treatment: Treatment, cells: np.ndarray,
    nuclei: np.ndarray, labels: np.ndarray,
) -> pl.DataFrame:  # fmt: skip
    count = len(cells)
    keys = {
        PLATE: pl.Series([plate] * count, dtype=pl.String),
        WELL: pl.Series([well] * count, dtype=pl.String),
        SITE: pl.Series(np.full(count, site, np.int32)),
        OBJECT: pl.Series(np.arange(1, count + 1, dtype=np.int32)),
    }
    compound = treatment.compound
    values = {
        "center_y": cells["y"],
        "center_x": cells["x"],
        "nucleus_area": np.bincount(nuclei.ravel(), minlength=count + 1)[1:],
        "cell_area": np.bincount(labels.ravel(), minlength=count + 1)[1:],
        "stage": pl.Series([STAGES[code] for code in cells["stage"]], dtype=pl.String),
        "perturbation": pl.Series([compound.name if compound else "DMSO"] * count, dtype=pl.String),
        "moa": pl.Series([compound.mechanism if compound else None] * count, dtype=pl.String),
    }
    return pl.DataFrame({**keys, **values})
