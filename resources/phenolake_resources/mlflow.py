"""MLflow tracking and registry as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from phenolake.modeling.tracking import Tracker


class MlflowResource(dg.ConfigurableResource):
    """Where training runs and registered models are kept."""

    tracking_uri: str = Field(description="MLflow server or SQLite URI")
    artifact_root: str = Field(description="folder or URI for model files and pictures")

    def open(self) -> Tracker:
        """Connect; mlflow is imported here, not when definitions load."""
        return Tracker(self.tracking_uri, self.artifact_root)
