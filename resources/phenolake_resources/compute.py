"""Where fields are processed, as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from phenolake.compute import Compute, LocalCompute


class ComputeResource(dg.ConfigurableResource):
    """Processes on this machine; a cluster comes behind the same interface."""

    workers: int = Field(
        0, ge=0, description="processes per run; 0 uses every core, 1 none beside the run's"
    )

    def open(self) -> Compute:
        """Something that maps engine functions over fields."""
        return LocalCompute(self.workers)
