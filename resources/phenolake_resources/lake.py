"""The lake as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from phenolake.lake import Lake
from pydantic import Field


class LakeResource(dg.ConfigurableResource):
    """Where the Delta tables are."""

    uri: str = Field(description="folder or s3:// URI of the tables; credentials come from the environment")

    def open(self) -> Lake:
        """Open the lake; `LakeLocationError` says what is wrong with its place."""
        lake = Lake(self.uri)
        lake.validate()
        return lake
