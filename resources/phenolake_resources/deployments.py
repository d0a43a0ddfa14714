"""The resources of an installation, made from its settings in one place."""

from __future__ import annotations

from typing import Any

from phenolake.settings import Settings
from phenolake_resources.compute import ComputeResource
from phenolake_resources.lake import LakeResource
from phenolake_resources.mlflow import MlflowResource
from phenolake_resources.screens import ScreensResource


def resources_for(settings: Settings) -> dict[str, Any]:
    """Resources by the name that assets ask for them."""
    home = settings.home_path
    return {
        "lake": LakeResource(uri=settings.tables_uri, retention_days=settings.retention_days),
        "screens": ScreensResource(
            registry=str(home / "screens"),
            inbox=str(settings.inbox_path),
            inbox_uri=settings.inbox_uri,
            keep_fetched_days=settings.keep_fetched_days,
            linked_folders=[str(folder) for folder in settings.linked_paths],
            quiet_time_s=settings.quiet_time_s,
            segmentation=settings.segmentation,
            explorer_url=settings.explorer_url.rstrip("/"),
        ),
        "compute": ComputeResource(
            workers=settings.workers,
            ray_address=settings.ray_address,
            ray_gpus=settings.ray_gpus,
        ),
        "mlflow": MlflowResource(
            tracking_uri=settings.mlflow_tracking_uri,
            artifact_root=str(home / "mlflow" / "artifacts"),
        ),
    }
