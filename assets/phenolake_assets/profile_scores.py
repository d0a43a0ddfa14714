"""Gold assets that judge a screen's profiles: corrections compared, similar treatments, replicates."""

import dagster as dg
import polars as pl

from phenolake.pictures import as_markdown, similarity_heatmap
from phenolake.stages.profile_scores import (
    batch_scores_of,
    methods_of,
    replicate_scores_of,
    similarity_of,
)
from phenolake.stages.screen_profiles import profiles_of, start_of
from phenolake.tables import BATCH_SCORES, PROFILE_SIMILARITY, REPLICATE_SCORES
from phenolake_assets.landing import ScreenRun
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.screen_profiles import batch_corrected_profiles, consensus_profiles
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource

_MOST_PICTURES = 8


@table_asset(BATCH_SCORES, screen_partitions, deps=[batch_corrected_profiles])
def batch_scores(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """How well each correction mixes batches and keeps biology, with confidence intervals."""
    run = ScreenRun.start(context, lake, screens)
    scores = batch_scores_of(run.lake.read("batch_corrected_profiles", run.where))
    commit = run.land(
        BATCH_SCORES,
        scores.with_columns(pl.lit(run.name).alias("Metadata_Screen")),
        parameters={
            "batch_corrected_profiles": run.lake.version("batch_corrected_profiles"),
        },
    )
    values = scores.drop_nulls("value")
    return run.report(
        commit,
        {
            method: {row["score"]: round(row["value"], 4) for row in rows.iter_rows(named=True)}
            for (method,), rows in values.group_by(["Metadata_Correction"], maintain_order=True)
        },
        [run.unique_keys(BATCH_SCORES, run.where)],
    )


@table_asset(PROFILE_SIMILARITY, screen_partitions, deps=[consensus_profiles])
def profile_similarity(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """The treatments that resemble each treatment most, and its hierarchical cluster."""
    run = ScreenRun.start(context, lake, screens)
    consensus = run.lake.read("consensus_profiles", run.where)
    pairs = similarity_of(consensus)
    commit = run.land(
        PROFILE_SIMILARITY,
        pairs.with_columns(pl.lit(run.name).alias("Metadata_Screen")),
        parameters={"consensus_profiles": run.lake.version("consensus_profiles")},
    )
    pictures = {}
    for method in methods_of(consensus)[:_MOST_PICTURES]:
        treated = profiles_of(consensus, method).filter(
            (pl.col("Metadata_ControlType") != "negcon").fill_null(True)
        )
        if treated.height > 1:
            picture = similarity_heatmap(treated, "Metadata_Perturbation", title=method)
            pictures[f"similarity, {method}"] = dg.MetadataValue.md(as_markdown(picture, method))
    return run.report(commit, pictures, [run.unique_keys(PROFILE_SIMILARITY, run.where)])


@table_asset(REPLICATE_SCORES, screen_partitions, deps=[batch_corrected_profiles])
def replicate_scores(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """How well the replicates of each treatment agree, and how much it does."""
    run = ScreenRun.start(context, lake, screens)
    config = run.screen.config
    start = start_of(run.lake, run.where, config.recipe, config.reference)
    is_raw = start.table == "well_profiles"
    scores = replicate_scores_of(
        run.lake.read("batch_corrected_profiles", run.where),
        start.profiles,
        start.reference if is_raw else None,
    )
    commit = run.land(
        REPLICATE_SCORES,
        scores.with_columns(pl.lit(run.name).alias("Metadata_Screen")),
        parameters={
            "batch_corrected_profiles": run.lake.version("batch_corrected_profiles"),
            start.table: start.version,
        },
    )
    replicating = scores.group_by("Metadata_Correction").agg(pl.col("replicates_well").mean())
    return run.report(
        commit,
        {
            "share that replicates": {
                method: None if share is None else round(share, 4)
                for method, share in replicating.sort("Metadata_Correction").iter_rows()
            }
        },
        [run.unique_keys(REPLICATE_SCORES, run.where)],
    )
