"""The simulated assays: optics, stains as mixtures of structures, cell line and compounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phenolake.simulation.compounds import CELL_PAINTING_COMPOUNDS, CYTOTOXICITY_COMPOUNDS, Compound
from phenolake.simulation.phenotype import STRUCTURES


@dataclass(frozen=True)
class Stain:
    """One channel: how strongly it shows each structure, and its brightness in counts."""

    channel: str
    structures: Mapping[str, float]
    counts: float = 2500.0


@dataclass(frozen=True)
class Assay:
    """Everything about a preset that does not depend on the plan."""

    preset: str
    cell_line: str
    pixel_size_um: float
    nucleus_radius: float
    cell_radius: float
    cells_per_megapixel: float
    labels: str
    stains: tuple[Stain, ...]
    compounds: tuple[Compound, ...]
    positive_control: str
    negative_control: str = "DMSO"
    blur: float = 0.9

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in image order."""
        return tuple(stain.channel for stain in self.stains)

    @property
    def mixture(self) -> np.ndarray:
        """Counts per unit of each structure; float32, shape (channel, structure)."""
        return np.array(
            [[s.structures.get(name, 0.0) * s.counts for name in STRUCTURES] for s in self.stains],
            dtype=np.float32,
        )

    def compound(self, name: str) -> Compound:
        """Return the compound of that name; `KeyError` if the assay has none."""
        return {compound.name: compound for compound in self.compounds}[name]


ASSAYS: dict[str, Assay] = {
    "cell_painting": Assay(
        preset="cell_painting",
        cell_line="U2OS",
        pixel_size_um=0.65,
        nucleus_radius=12.5,
        cell_radius=31.0,
        cells_per_megapixel=250.0,
        labels="moa",
        stains=(
            Stain("DNA", {"chromatin": 1.0, "cytoplasm": 0.015}, 4200.0),
            Stain("ER", {"reticulum": 1.0, "cytoplasm": 0.30, "golgi": 0.15}, 2600.0),
            Stain(
                "RNA",
                {"nucleoli": 0.9, "nucleoplasm": 0.28, "cytoplasm": 0.55, "reticulum": 0.25},
                2800.0,
            ),
            Stain(
                "AGP",
                {"fibres": 0.5, "cortex": 0.6, "golgi": 0.8, "cytoplasm": 0.28, "puncta": 0.25},
                2600.0,
            ),
            Stain("Mito", {"mitochondria": 1.0, "cytoplasm": 0.12}, 3000.0),
        ),
        compounds=CELL_PAINTING_COMPOUNDS,
        positive_control="staurosporine",
    ),
    "four_channel_cytotoxicity": Assay(
        preset="four_channel_cytotoxicity",
        cell_line="HCT116",
        pixel_size_um=0.9,
        nucleus_radius=7.2,
        cell_radius=14.5,
        cells_per_megapixel=1050.0,
        labels="perturbation",
        stains=(
            Stain("Hoechst", {"chromatin": 1.0, "cytoplasm": 0.015}, 4200.0),
            Stain("Alexa488", {"nucleoplasm": 0.8, "chromatin": 0.35, "cytoplasm": 0.12}, 2400.0),
            Stain("TRITC", {"cytoplasm": 0.45, "cortex": 0.6, "fibres": 0.45}, 2600.0),
            Stain("Alexa647", {"puncta": 0.8, "cytoplasm": 0.30, "reticulum": 0.20}, 2000.0),
        ),
        compounds=CYTOTOXICITY_COMPOUNDS,
        positive_control="Staurosporine",
        blur=0.8,
    ),
}
