"""Make the limits of pools known before the first runs ask for them, all at once."""

import dagster as dg

from phenolake_assets.jobs import PLATE_ASSETS, SCREEN_ASSETS

#: Pools of the assets that several runs may reach at the same moment.
POOLS = sorted({asset.op.pool for asset in [*PLATE_ASSETS, *SCREEN_ASSETS] if asset.op.pool})


def make_pools_known(instance: dg.DagsterInstance) -> None:
    """Give each new pool the instance's default limit.

    A run does this for a pool that it is the first to ask for. Two runs that do it at once collide on
    Postgres, and one of them fails (Dagster 1.13); the daemon does it alone.
    """
    storage = instance.event_log_storage
    has_limit = instance.global_op_concurrency_default_limit is not None
    if not has_limit or not storage.supports_global_concurrency_limits:
        return
    known = storage.get_concurrency_keys()
    for pool in POOLS:
        if pool not in known:
            storage.initialize_concurrency_limit_to_default(pool)
