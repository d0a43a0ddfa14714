"""The known screens as a Dagster resource."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from phenolake.screens.registry import ScreenRegistry


class ScreensResource(dg.ConfigurableResource):
    """Where screens are found, and when a plate counts as complete."""

    registry: str = Field(description="folder with one small file per ingested screen")
    inbox: str = Field(description="folder watched for new screens and plates")
    quiet_time_s: float = Field(
        description="seconds without change after which a plate is complete"
    )
    segmentation: str = Field(description="segmentation method of screens that name none")

    def open(self) -> ScreenRegistry:
        """The screens of this installation."""
        return ScreenRegistry(Path(self.registry), Path(self.inbox))
