"""Gold asset of a screen: what its recipe learned, kept so that later plates can be corrected alike."""

import dagster as dg
import polars as pl

from phenolake.images.planes import Problem
from phenolake.stages.fitted_recipes import fits_of
from phenolake.stages.screen_profiles import start_of
from phenolake.tables import FITTED_RECIPES
from phenolake_assets.landing import ScreenRun
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.table_asset import table_asset
from phenolake_assets.well_profiles import normalized_profiles, well_profiles
from phenolake_resources import LakeResource, ScreensResource

#: Where recipes start; from the second where only normalized profiles were imported.
STARTS = (well_profiles, normalized_profiles)

_ADVICE = (
    "Mark negative controls in the plate map, or set `reference: all`, and run the plate and its "
    "screen again. The other plates of the screen went on without it."
)


@table_asset(
    FITTED_RECIPES,
    screen_partitions,
    deps=[dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS],
    checks={
        "every_plate_has_controls": "Every plate has two reference wells or more; the others are left out of "
        "corrected profiles, with a row in quarantine.",
    },
)
def fitted_recipes(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """The screen's recipe with each of its corrections, fitted once and stored.

    With `profiles.refit: false` a fit stays until the recipe changes, whatever plates come.
    """
    run = ScreenRun.start(context, lake, screens)
    config = run.screen.config
    start = start_of(run.lake, run.where, config.recipe, config.reference)
    kept = None
    if not config.profiles.refit and run.lake.exists(FITTED_RECIPES.name):
        kept = run.lake.read(FITTED_RECIPES.name, run.where)
    fits = fits_of(start, config.corrections, config.profiles.adjustments, kept)
    commit = run.land(
        FITTED_RECIPES,
        fits,
        parameters={
            "recipe": start.recipe.name,
            "corrections": config.corrections,
            "adjustments": config.profiles.adjustments,
            "reference": start.reference.name,
            "refit": config.profiles.refit,
            start.table: start.version,
        },
    )
    few = {
        plate: [Problem("no_controls", _ADVICE, expected="two reference wells", got=str(count))]
        for plate, count in start.left_out.items()
    }
    run.quarantine(FITTED_RECIPES.name, few)
    plates = fits["plates"].explode().unique()
    return run.report(
        commit,
        {
            "fitted on plates": plates.len(),
            "plates left out": ", ".join(start.left_out) or "none",
            "fits kept from before": kept_count(fits, kept),
            "bytes": int(fits["fit"].bin.size().sum()),
        },
        [
            run.unique_keys(FITTED_RECIPES, run.where),
            dg.AssetCheckResult(
                check_name="every_plate_has_controls",
                passed=not start.left_out,
                metadata={"reference wells of the plates left out": dict(start.left_out)},
            ),
        ],
    )


def kept_count(fits: pl.DataFrame, kept: pl.DataFrame | None) -> int:
    """How many fits were there before."""
    return 0 if kept is None else int(fits["fit"].is_in(kept["fit"].to_list()).sum())
