"""Typed Dagster resources: lake, screens, compute and model tracking."""

from phenolake_resources.compute import ComputeResource
from phenolake_resources.deployments import resources_for
from phenolake_resources.lake import LakeResource
from phenolake_resources.mlflow import MlflowResource
from phenolake_resources.screens import ScreensResource

__all__ = ["ComputeResource", "LakeResource", "MlflowResource", "ScreensResource", "resources_for"]
