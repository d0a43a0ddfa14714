"""Where fields are processed, as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from phenolake.compute import Compute, LocalCompute
from phenolake.ray_compute import RayCompute


class ComputeResource(dg.ConfigurableResource):
    """Processes on this machine, or workers of a Ray cluster; assets can't tell which."""

    workers: int = Field(
        0, ge=0, description="processes per run; 0 uses every core, 1 none beside the run's"
    )

    ray_address: str = Field("", description="Ray cluster; empty: this machine")
    ray_gpus: float = Field(0, ge=0, description="GPUs of one Ray worker; 0 uses cores only")

    def open(self, *, network: bool = False) -> Compute:
        """Something that maps engine functions over fields; those with a `network` get the GPUs."""
        if self.ray_address:
            gpus = self.ray_gpus if network else 0
            return RayCompute(self.ray_address, gpus, self.workers)
        return LocalCompute(self.workers)
