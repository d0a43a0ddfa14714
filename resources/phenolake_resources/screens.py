"""The known screens as a Dagster resource."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from phenolake.screens.registry import ScreenRegistry
from phenolake.screens.store_inbox import StoreInbox


class ScreensResource(dg.ConfigurableResource):
    """Where screens are found, and when a plate counts as complete."""

    registry: str = Field(description="folder with one small file per ingested screen")
    inbox: str = Field(description="folder watched for new screens and plates")
    quiet_time_s: float = Field(
        description="seconds without change after which a plate is complete"
    )
    inbox_uri: str = Field("", description="object store whose plates are copied to the inbox")
    keep_fetched_days: float = Field(
        0, description="days after which local copies of that store's plates go; 0 keeps them"
    )
    linked_folders: list[str] = Field(
        default_factory=list, description="folders that links to plates may lead to"
    )
    segmentation: str = Field(description="segmentation method of screens that name none")

    explorer_url: str = Field("", description="address of `phenolake explore`; empty: no links")

    def open(self) -> ScreenRegistry:
        """The screens of this installation."""
        links = tuple(Path(folder) for folder in self.linked_folders)
        return ScreenRegistry(Path(self.registry), Path(self.inbox), links)

    def store(self) -> StoreInbox | None:
        """The object store that is watched, if one is."""
        return StoreInbox(self.inbox_uri) if self.inbox_uri else None
