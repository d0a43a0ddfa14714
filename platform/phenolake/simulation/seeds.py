"""Random generators keyed by what they are for, so that no result depends on the order of work."""

from __future__ import annotations

import numpy as np

from phenolake.simulation.plan import SimulationPlan

LAYOUT, BATCH, PLATE, SITE = range(4)


def generator(plan: SimulationPlan, purpose: int, *key: int) -> np.random.Generator:
    """Return the generator of one purpose and key under the plan's seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([plan.seed, purpose, *key])))
