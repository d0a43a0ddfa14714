"""Synthetic screens with known truth, for planning an assay, for the demo and for tests."""

from phenolake.simulation.plan import SimulationPlan
from phenolake.simulation.screen import PATTERN, plate_map, simulate_screen, true_wells
from phenolake.simulation.site import SimulatedSite, simulate_site

__all__ = [
    "PATTERN",
    "SimulatedSite",
    "SimulationPlan",
    "plate_map",
    "simulate_screen",
    "simulate_site",
    "true_wells",
]
