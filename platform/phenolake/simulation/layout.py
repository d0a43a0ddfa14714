"""Which treatment is in which well of a plate: controls spread out, doses in series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from phenolake.identity import Well, wells_of_format
from phenolake.simulation.assays import ASSAYS, Assay
from phenolake.simulation.compounds import Compound
from phenolake.simulation.phenotype import hill_response, phenotype_at
from phenolake.simulation.plan import SimulationPlan
from phenolake.simulation.seeds import LAYOUT, generator

if TYPE_CHECKING:
    from phenolake.screens.config import ControlType

#: Decades that a dose series spans, down from the compound's highest dose.
SERIES_DECADES = 3.0
_MOST_DOSES = 8
_TITRATION = 5


@dataclass(frozen=True)
class Treatment:
    """What is in a well; `compound` is None for solvent and for empty wells."""

    control: ControlType
    compound: Compound | None = None
    concentration_um: float = 0.0

    @property
    def response(self) -> float:
        """Share of the compound's full effect, 0 to 1."""
        if self.compound is None:
            return 0.0
        return hill_response(
            self.concentration_um, self.compound.response_ec50_um, self.compound.slope
        )

    @property
    def phenotype(self) -> dict[str, float]:
        """Parameters of the typical cell in the well."""
        return phenotype_at(self.compound.effects if self.compound else {}, self.response)


def dose_series(compound: Compound, doses: int) -> list[float]:
    """Concentrations from the highest down, umol per litre, evenly spaced in their logarithm."""
    steps = np.arange(doses) / max(doses - 1, 1)
    return [float(f"{compound.top_um * 10 ** (-SERIES_DECADES * step):.4g}") for step in steps]


@lru_cache(maxsize=32)
def plate_layout(plan: SimulationPlan, plate: str) -> dict[Well, Treatment]:
    """Treatments by well, in row order; the same for all plates unless the plan shuffles them."""
    assay = ASSAYS[plan.preset]
    wells = _block(plan)
    key = plan.plate_number(plate) if plan.shuffle_layout else 0
    rng = generator(plan, LAYOUT, key)
    controls = _controls(assay, len(wells))
    treatments = list(
        islice(cycle(_by_priority(assay, len(wells) - len(controls))), len(wells) - len(controls))
    )
    spread = _spread_positions(rng, len(wells), len(controls))
    placed = dict(zip(spread, rng.permutation(len(controls)), strict=True))
    rest = iter(rng.permutation(len(treatments)))
    return {
        well: controls[placed[i]] if i in placed else treatments[next(rest)]
        for i, well in enumerate(wells)
    }


def _block(plan: SimulationPlan) -> list[Well]:
    """All wells, or a compact block of about twice as many columns as rows, off the edge."""
    wells = wells_of_format(plan.wells)
    if plan.used == plan.wells:
        return wells
    rows, columns = plan.rows_and_columns
    width = next(
        w
        for w in range(1, columns + 1)
        if w * min(rows, max(1, w // 2 + 1)) >= plan.used or w == columns
    )
    height = -(-plan.used // width)
    top, left = (2 if height < rows else 1), (2 if width < columns else 1)
    block = [w for w in wells if top <= w.row < top + height and left <= w.column < left + width]
    return block[: plan.used]


def _controls(assay: Assay, wells: int) -> list[Treatment]:
    positive = assay.compound(assay.positive_control)
    negatives = max(1 if wells < 8 else 2, round(wells / 8))
    positives = max(1, round(wells / 24))
    empties = 0 if wells < 12 else max(1, round(wells / 48))
    return [
        *[Treatment("negcon")] * negatives,
        *[Treatment("poscon", positive, positive.top_um)] * positives,
        *[Treatment("empty")] * empties,
    ]


def _by_priority(assay: Assay, slots: int) -> list[Treatment]:
    """Treatments of the plate, the most telling first; a small plate takes the head of the list.

    One dose of each mechanism, then a titration of the first compound, then the second compounds,
    then the lower doses of all.
    """
    compounds = [
        c
        for c in assay.compounds
        if assay.labels == "perturbation" or c.name != assay.positive_control
    ]
    even = slots // len(compounds)
    doses = min(even, _MOST_DOSES) if even >= 4 else _TITRATION
    series = {
        c.name: [Treatment("trt", c, dose) for dose in dose_series(c, doses)] for c in compounds
    }
    firsts = list({c.mechanism: c for c in reversed(compounds)}.values())[::-1]
    seconds = [c for c in compounds if c not in firsts]
    others = [c for c in compounds if c != compounds[0]]
    return [
        *[series[c.name][0] for c in firsts],
        *series[compounds[0].name][1:],
        *[series[c.name][0] for c in seconds],
        *[series[c.name][level] for level in range(1, doses) for c in others],
    ]


def _spread_positions(rng: np.random.Generator, wells: int, controls: int) -> list[int]:
    """Return one random position in each of as many equal stretches of the plate as controls."""
    bounds = np.linspace(0, wells, controls + 1).astype(int)
    return [int(rng.integers(low, high)) for low, high in pairwise(bounds)]
