"""The lake as a Dagster resource."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
from pydantic import Field

from phenolake.lake import Lake


class LakeResource(dg.ConfigurableResource):
    """Where the Delta tables are."""

    uri: str = Field(
        description="folder or s3:// URI of the tables; credentials come from the environment"
    )

    retention_days: float = Field(
        7, ge=1, description="for so long every version of a table stays readable"
    )

    @property
    def retention(self) -> timedelta:
        """`retention_days` as a duration."""
        return timedelta(days=self.retention_days)

    def open(self) -> Lake:
        """Open the lake; `LakeLocationError` says what is wrong with its place."""
        lake = Lake(self.uri)
        lake.validate()
        return lake
