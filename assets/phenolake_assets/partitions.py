"""Partitions: one per plate, and one per screen for what looks across plates."""

from __future__ import annotations

import dagster as dg

PLATES = "plates"
SCREENS = "screens"

#: Keys are `<screen>__<plate>`.
plates = dg.DynamicPartitionsDefinition(name=PLATES)

#: Keys are screen names.
screens = dg.DynamicPartitionsDefinition(name=SCREENS)
