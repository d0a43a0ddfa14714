"""Imported plates in Dagster: partitions, and a materialization for each table that was written."""

from __future__ import annotations

from collections import Counter

import dagster as dg

from phenolake.importing import Imported
from phenolake.lake import Lake
from phenolake_assets.partitions import plates


def record_import(instance: dg.DagsterInstance, imported: Imported, lake: Lake) -> None:
    """Make the plate a partition and report its table as materialized, with its source.

    The rows were written by `phenolake import`, not by a run: the event carries where they came
    from, so that lineage shows it, and assets downstream can be materialized as for any plate.
    """
    partition = str(imported.key)
    instance.add_dynamic_partitions(str(plates.name), [partition])
    refused = Counter(problem.problem for problem in imported.problems)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=imported.commit.table,
            partition=partition,
            description=f"imported from {imported.source}",
            metadata={
                "dagster/row_count": imported.commit.rows,
                "delta_version": imported.commit.version,
                "seconds": round(imported.commit.seconds, 2),
                "table": dg.MetadataValue.path(lake.table_uri(imported.commit.table)),
                "source": dg.MetadataValue.path(str(imported.source)),
                "kind": imported.kind,
                "problems": ", ".join(f"{n} x {kind}" for kind, n in sorted(refused.items()))
                or "none",
            },
        )
    )
