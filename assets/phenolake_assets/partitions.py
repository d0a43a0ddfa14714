"""Partitions: one per plate, and one per screen for what looks across plates."""

from __future__ import annotations

import dagster as dg

PLATES = "plates"
SCREENS = "screens"

#: Keys are `<screen>__<plate>`.
plates = dg.DynamicPartitionsDefinition(name=PLATES)

#: Keys are screen names.
screens = dg.DynamicPartitionsDefinition(name=SCREENS)


def from_all_plates(*assets: dg.AssetsDefinition) -> list[dg.AssetDep]:
    """Dependencies of a screen on all plates of assets whose tables it reads."""
    return [dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in assets]
