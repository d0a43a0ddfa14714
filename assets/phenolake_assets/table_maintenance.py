"""Housekeeping asset: small files joined, logs checkpointed, files of old versions deleted."""

from datetime import timedelta

import dagster as dg

from phenolake.lake.maintenance import Upkeep, maintain
from phenolake.stages.fetched_plates import release_fetched
from phenolake_assets.landing import STORAGE_RETRY, clear_failures
from phenolake_resources import LakeResource, ScreensResource


@dg.asset(
    group_name="operations",
    kinds={"deltalake"},
    retry_policy=STORAGE_RETRY,
    pool="maintenance",
    code_version="1",
)
def table_maintenance(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Every table tidied; no row changes, and readers and writers go on meanwhile.

    Images that were fetched from an object store go too, where `keep_fetched_days` says so.
    """
    freed = 0
    with clear_failures():
        if screens.keep_fetched_days:
            keep = timedelta(days=screens.keep_fetched_days)
            for key, size in release_fetched(lake.open(), screens.open().inbox, keep):
                context.log.info(f"plate {key}: {size / 1e6:,.1f} MB left to the object store")
                freed += size
        done: list[Upkeep] = []
        for upkeep in maintain(lake.open(), retention=lake.retention, run_id=context.run_id):
            context.log.info(str(upkeep))
            done.append(upkeep)
    return dg.MaterializeResult(
        metadata={
            "tables": len(done),
            "rows": sum(upkeep.rows for upkeep in done),
            "files": sum(upkeep.files for upkeep in done),
            "megabytes": round(sum(upkeep.bytes for upkeep in done) / 1e6, 1),
            "files joined": sum(upkeep.joined for upkeep in done),
            "files deleted": sum(upkeep.deleted for upkeep in done),
            "megabytes of images left to the object store": round(freed / 1e6, 1),
            "days that versions stay readable": lake.retention_days,
            "what was done": dg.MetadataValue.md(_as_markdown(done)),
        }
    )


def _as_markdown(done: list[Upkeep]) -> str:
    lines = [
        "| table | version | rows | files | MB | joined | deleted |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {u.table} | {u.version} | {u.rows:,} | {u.files:,} | {u.bytes / 1e6:.1f} | {u.joined} | {u.deleted} |"
        for u in done
    ]
    return "\n".join(lines)
