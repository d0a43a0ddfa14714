"""Small frames for the lake's tables."""

from __future__ import annotations

import numpy as np
import polars as pl

PLATE = {"Metadata_Screen": "S1", "Metadata_Plate": "P1"}


def plate(name: str, screen: str = "S1") -> dict[str, str]:
    return {"Metadata_Screen": screen, "Metadata_Plate": name}


def profiles(
    rows: int = 3, value: float = 1.0, features: tuple[str, ...] = ("Cells_A",)
) -> pl.DataFrame:
    """Well profiles without partition columns."""
    return pl.DataFrame(
        {
            "Metadata_Well": [f"A{i + 1:02d}" for i in range(rows)],
            "Metadata_CellCount": [10] * rows,
            "Metadata_SiteCount": [2] * rows,
            **{feature: np.full(rows, value) for feature in features},
        }
    )


def cells(rows: int = 4, features: tuple[str, ...] = ("Cells_A",), seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "Metadata_Well": ["A01"] * rows,
            "Metadata_Site": pl.Series([1] * rows, dtype=pl.Int32),
            "Metadata_ObjectNumber": pl.Series(range(1, rows + 1), dtype=pl.Int32),
            **{feature: rng.normal(size=rows).astype(np.float32) for feature in features},
        }
    )
