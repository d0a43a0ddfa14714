"""What a screen may say of its profiles: the section `profiles` of `screen.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProfileSettings(BaseModel):
    """How cells become profiles of wells and perturbations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statistic: Literal["median", "mean"] = Field(
        "median", description="what a well's profile takes of its cells, feature by feature"
    )
    min_cells: int = Field(
        0, ge=0, description="a well with fewer usable cells keeps its row and has no values"
    )
    heterogeneity: bool = Field(
        False,
        description="also make well_heterogeneity: spread and covariances of the cells of each well",
    )
    adjustments: tuple[Literal["well_position", "cell_density"], ...] = Field(
        (),
        description="steps put behind normalization: well_position (median polish of rows and columns), "
        "cell_density (regression on the cell count); profiles without them are kept beside",
    )
    consensus: Literal["median", "modz", "mean"] = Field(
        "median", description="how replicates become one profile"
    )
    refit: bool = Field(
        True,
        description="fit normalization, selection and correction on all plates whenever one comes; false: "
        "keep the first fit, so that later plates never move earlier ones",
    )
