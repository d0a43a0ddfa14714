"""The decorator of every asset that lands a table: what the declaration already says is not repeated."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from phenolake.tables import Table
from phenolake_assets.columns import table_metadata
from phenolake_assets.landing import STORAGE_RETRY, clear_failures, key_check


def table_asset(
    table: Table,
    partitions: dg.PartitionsDefinition,
    *,
    deps: Iterable[Any] = (),
    checks: Mapping[str, str] | None = None,
    kinds: Iterable[str] = (),
    code_version: str = "1",
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dagster.asset` for a table: named and grouped as declared, its keys checked.

    An error of ours fails the run with its sentence; only faults of storage are tried again.

    Parameters
    ----------
    checks
        Further checks of the asset, name to description.
    kinds
        What it is made with, besides Delta.
    """
    further = [
        dg.AssetCheckSpec(name, asset=table.name, description=text)
        for name, text in (checks or {}).items()
    ]
    asset = dg.asset(
        name=table.name,
        deps=[*deps],
        partitions_def=partitions,
        group_name=str(table.layer),
        kinds={"deltalake", *kinds},
        metadata=table_metadata(table),
        code_version=code_version,
        pool=pool,
        retry_policy=STORAGE_RETRY,
        check_specs=[key_check(table.name), *further],
    )

    def decorate(make: Callable[..., Any]) -> dg.AssetsDefinition:
        return asset(clear_failures()(make))

    return decorate
