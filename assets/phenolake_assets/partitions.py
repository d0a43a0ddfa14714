"""Partitions: one per plate, and one per screen for what looks across plates."""

from __future__ import annotations

import dagster as dg

#: Keys are `<screen>__<plate>`.
plates = dg.DynamicPartitionsDefinition(name="plates")

#: Keys are screen names.
screens = dg.DynamicPartitionsDefinition(name="screens")
