"""The lake as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from phenolake.lake import Lake


class LakeResource(dg.ConfigurableResource):
    """Where the Delta tables are."""

    uri: str = Field(
        description="folder or s3:// URI of the tables; credentials come from the environment"
    )

    def open(self) -> Lake:
        """Open the lake; `LakeLocationError` says what is wrong with its place."""
        lake = Lake(self.uri)
        lake.validate()
        return lake
