"""Well profiles written by hand: a small plate whose compounds differ."""

from __future__ import annotations

import numpy as np
import polars as pl

WELLS = [f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7)]


def wells_of(plate: str, control: str | None = None, seed: int = 0) -> pl.DataFrame:
    """24 wells, 8 compounds in three replicates; `control` marks the first compound's wells."""
    rng = np.random.default_rng(seed)
    names = [f"drug{n % 8}" for n in range(24)]
    shift = np.array([n % 8 for n in range(24)], float)
    return pl.DataFrame(
        {
            "Metadata_Screen": ["S"] * 24,
            "Metadata_Batch": ["B1"] * 24,
            "Metadata_Plate": [plate] * 24,
            "Metadata_Well": WELLS,
            "Metadata_Perturbation": names,
            "Metadata_Concentration": [1.0] * 24,
            "Metadata_ConcentrationUnit": ["uM"] * 24,
            "Metadata_ControlType": [
                (control or "trt") if name == "drug0" else "trt" for name in names
            ],
            "Metadata_MOA": [f"moa{n % 4}" for n in range(24)],
            "Metadata_CellLine": ["U2OS"] * 24,
            "Metadata_CellCount": [100] * 24,
            "Metadata_SiteCount": [4] * 24,
            **{
                f"Nuclei_Texture_F{i}": 10 + np.sin(shift + i) + rng.normal(0, 0.2, 24)
                for i in range(12)
            },
        },
        schema_overrides={"Metadata_CellCount": pl.Int64, "Metadata_SiteCount": pl.Int64},
    )
