"""The simulated compounds: potency, mechanism, and what a mechanism does to a cell at full effect.

Cytotoxicity potencies are those of the published panel; all others are plausible, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Factors on the parameters of phenotype.py at full response.
MECHANISMS: dict[str, dict[str, float]] = {
    "tubulin destabilizer": {
        "density": 0.55, "mitotic": 7.0, "nucleus_lobes": 5.0, "nucleus_size": 1.12,
        "cell_size": 0.80, "cell_elongation": 0.78, "golgi_spread": 2.2, "golgi": 0.7,
        "mito_reach": 0.45, "reticulum_reach": 0.6,
    },
    "tubulin stabilizer": {
        "density": 0.60, "mitotic": 3.5, "nucleus_lobes": 6.0, "nucleus_size": 1.28,
        "cell_size": 1.10, "reticulum_reach": 1.9, "reticulum": 0.85, "mito_reach": 1.7,
        "golgi_spread": 1.7, "fibres": 0.8,
    },
    "actin disruptor": {
        "density": 0.75, "cell_size": 0.72, "cell_raggedness": 2.8, "fibres": 0.10, "cortex": 0.55,
        "puncta": 5.0, "puncta_count": 1.3, "nucleus_size": 0.92, "cell_elongation": 1.15,
    },
    "DNA damage": {
        "density": 0.38, "nucleus_size": 1.50, "nucleus_spread": 1.8, "chromatin": 0.75,
        "chromatin_grain": 1.5, "cell_size": 1.35, "nucleoli_size": 1.25, "mitotic": 0.1,
        "fibres": 1.3, "clumping": 0.5,
    },
    "proteasome inhibitor": {
        "density": 0.35, "apoptotic": 12.0, "cell_size": 0.74, "nucleus_size": 0.86, "puncta": 4.5,
        "golgi_spread": 0.6, "golgi": 2.0, "nucleoli": 1.5, "cytoplasm": 1.3,
        "reticulum_reach": 0.55, "fibres": 0.4,
    },
    "Aurora kinase inhibitor": {
        "density": 0.45, "nucleus_size": 1.75, "nucleus_spread": 2.6, "nucleus_lobes": 3.6,
        "cell_size": 1.55, "mitotic": 0.3, "chromatin": 0.95,
    },
    "protein synthesis inhibitor": {
        "density": 0.60, "nucleoli": 0.22, "nucleoli_size": 0.6, "cytoplasm": 0.62,
        "reticulum": 0.55, "nucleus_size": 0.85, "cell_size": 0.88, "golgi": 0.5, "mitotic": 0.2,
    },
    "HDAC inhibitor": {
        "density": 0.58, "nucleus_size": 1.25, "chromatin_grain": 0.35, "chromatin": 0.80,
        "cell_size": 1.40, "cell_elongation": 1.7, "fibres": 2.3, "reticulum": 1.25, "mitotic": 0.3,
        "clumping": 0.4,
    },
    "mitochondrial uncoupler": {
        "density": 0.80, "mitochondria": 0.30, "mito_fragmentation": 2.1, "mito_reach": 0.55,
        "cytoplasm": 0.9,
    },
    "Golgi disruptor": {
        "density": 0.72, "golgi": 0.55, "golgi_spread": 3.5, "reticulum": 1.9,
        "reticulum_reach": 1.5, "nucleoli": 0.85, "cell_size": 0.92,
    },
    "ROCK inhibitor": {
        "fibres": 0.15, "cell_elongation": 2.0, "cell_raggedness": 2.5, "cell_size": 1.12,
        "cortex": 0.6, "clumping": 0.5, "density": 0.95,
    },
    "lysosomotropic agent": {
        "density": 0.75, "vacuoles": 11.0, "puncta": 5.5, "puncta_count": 1.6, "reticulum": 0.8,
        "cytoplasm": 0.9, "mito_reach": 1.2,
    },
    "pan-kinase inhibitor": {
        "density": 0.25, "cell_size": 0.80, "cell_raggedness": 3.2, "cell_elongation": 1.8,
        "nucleus_size": 0.78, "chromatin": 1.35, "fibres": 0.2, "mitochondria": 0.7,
        "apoptotic": 10.0, "mitotic": 0.1, "puncta": 2.0,
    },
    "antimetabolite": {
        "density": 0.35, "nucleus_size": 1.28, "chromatin": 0.85, "cell_size": 1.18,
        "nucleoplasm": 1.15, "mitotic": 0.3, "apoptotic": 4.0, "cytoplasm": 1.1, "fibres": 1.2,
    },
    "DNA crosslinker": {
        "density": 0.30, "nucleus_size": 1.38, "nucleus_lobes": 2.6, "chromatin_grain": 1.9,
        "cell_size": 1.22, "nucleoplasm": 0.75, "apoptotic": 7.0, "mitotic": 0.1, "cortex": 1.35,
        "puncta": 1.5,
    },
    "topoisomerase inhibitor": {
        "density": 0.20, "nucleus_size": 1.62, "nucleus_spread": 1.8, "chromatin": 0.72,
        "cell_size": 1.50, "cell_elongation": 1.25, "fibres": 1.7, "mitotic": 0.1, "clumping": 0.5,
        "apoptotic": 4.0,
    },
    # No activity in the cytotoxicity assay; the traces left are near what the eye can't see.
    "EGFR inhibitor": {
        "cell_size": 1.015, "cytoplasm": 0.98, "chromatin_grain": 0.96,
    },
    "multi-kinase inhibitor": {
        "fibres": 1.05, "cortex": 0.98, "nucleus_size": 0.99,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Compound:
    """One compound; `strength` scales the mechanism's effects, on a logarithmic scale.

    `ec50_um` of None means no measurable activity.
    """

    name: str
    mechanism: str
    ec50_um: float | None
    top_um: float
    slope: float = 1.2
    strength: float = 1.0

    @property
    def effects(self) -> Mapping[str, float]:
        """Factors at full response."""
        return {name: factor**self.strength for name, factor in MECHANISMS[self.mechanism].items()}

    @property
    def response_ec50_um(self) -> float:
        """EC50 of the response; for the traces of an inactive compound, a tenth of its top dose."""
        return self.top_um / 10 if self.ec50_um is None else self.ec50_um


def _above(ec50: float, published_top: float) -> float:
    """Highest dose: the published one, or 100 times the IC50 where that is less.

    The published series of the most potent compounds starts above their IC50s, so it could not
    show the curve.
    """
    return min(published_top, 100 * ec50)


CYTOTOXICITY_COMPOUNDS: tuple[Compound, ...] = (
    Compound("5-FU", "antimetabolite", 1.1, _above(1.1, 100)),
    Compound("Bortezomib", "proteasome inhibitor", 0.0019, _above(0.0019, 10), slope=1.6),
    Compound("Erlotinib", "EGFR inhibitor", None, 100),
    Compound("Oxaliplatin", "DNA crosslinker", 2.8, _above(2.8, 100)),
    Compound("Regorafenib", "multi-kinase inhibitor", None, 10),
    Compound("SN-38", "topoisomerase inhibitor", 0.0011, _above(0.0011, 10)),
    Compound("Staurosporine", "pan-kinase inhibitor", 0.0324, _above(0.0324, 10), slope=1.4),
)

#: Two compounds per mechanism; the second set follows the first in the same order.
CELL_PAINTING_COMPOUNDS: tuple[Compound, ...] = (
    Compound("nocodazole", "tubulin destabilizer", 0.10, 3, slope=1.8),
    Compound("cytochalasin D", "actin disruptor", 0.20, 6),
    Compound("etoposide", "DNA damage", 0.70, 20),
    Compound("MG-132", "proteasome inhibitor", 0.30, 9, slope=1.6),
    Compound("barasertib", "Aurora kinase inhibitor", 0.03, 1),
    Compound("cycloheximide", "protein synthesis inhibitor", 0.30, 9),
    Compound("vorinostat", "HDAC inhibitor", 0.70, 20),
    Compound("FCCP", "mitochondrial uncoupler", 1.00, 30),
    Compound("brefeldin A", "Golgi disruptor", 0.05, 1.5),
    Compound("Y-27632", "ROCK inhibitor", 2.00, 60),
    Compound("chloroquine", "lysosomotropic agent", 3.00, 90),
    Compound("paclitaxel", "tubulin stabilizer", 0.01, 0.3, slope=1.5),
    Compound("vincristine", "tubulin destabilizer", 0.01, 0.3, slope=1.6, strength=0.92),
    Compound("latrunculin B", "actin disruptor", 0.50, 15, strength=0.90),
    Compound("camptothecin", "DNA damage", 0.05, 1.5, strength=1.08),
    Compound("bortezomib", "proteasome inhibitor", 0.01, 0.3, slope=1.6, strength=1.05),
    Compound("tozasertib", "Aurora kinase inhibitor", 0.10, 3, strength=0.93),
    Compound("emetine", "protein synthesis inhibitor", 0.05, 1.5, strength=1.06),
    Compound("trichostatin A", "HDAC inhibitor", 0.05, 1.5, strength=1.05),
    Compound("niclosamide", "mitochondrial uncoupler", 0.30, 9, strength=0.95),
    Compound("golgicide A", "Golgi disruptor", 1.00, 30, strength=0.88),
    Compound("fasudil", "ROCK inhibitor", 3.00, 90, strength=0.90),
    Compound("bafilomycin A1", "lysosomotropic agent", 0.005, 0.15, strength=0.92),
    Compound("docetaxel", "tubulin stabilizer", 0.003, 0.1, slope=1.5, strength=1.04),
    Compound("staurosporine", "pan-kinase inhibitor", 0.05, 1.5, slope=1.4),
)
