"""How the single-cell crops of a screen are cut."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CropSettings(BaseModel):
    """Size, channels and surroundings of single-cell crops."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(32, ge=8, le=512, description="edge of a crop in pixels")
    channels: tuple[str, ...] = Field((), description="channel roles, in order; empty: all")
    border: Literal["zeros", "reflect"] = Field(
        "zeros", description="what a crop shows beyond the border of its field"
    )
    mask_neighbours: bool = Field(
        False, description="set the pixels of other cells (of other nuclei without cells) to zero"
    )
