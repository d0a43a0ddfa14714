"""Assets of what a network sees in cells: embeddings, and profiles of wells made of them."""

import dagster as dg
import polars as pl
from pydantic import Field

from phenolake.errors import ConfigurationError, TableMissingError, UnknownNameError
from phenolake.identity import PlateKey
from phenolake.modeling.embedding import LoadedNetwork, load_network
from phenolake.stages.crop_sets import stored_crops
from phenolake.stages.embeddings import embedding_rows, profile_embeddings
from phenolake.stages.reference import reference_of
from phenolake.stages.screen_correction import correct_screen
from phenolake.stages.screen_profiles import consensus_of, mechanism_accuracy
from phenolake.tables import CELL_EMBEDDINGS, EMBEDDING_PROFILES
from phenolake_assets.landing import ScreenRun
from phenolake_assets.models import network_name, phenotype_network
from phenolake_assets.partitions import from_all_plates
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.raw_images import plate_map
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, MlflowResource, ScreensResource

UNCORRECTED = "uncorrected"


class EmbeddingConfig(dg.Config):
    """Which network embeds the cells."""

    model: str = Field(
        "",
        description="models:/<name>@<alias>, models:/<name>/<version>, or a folder with model.json; "
        "default: the champion of the screen's network",
    )


@table_asset(
    CELL_EMBEDDINGS,
    screen_partitions,
    deps=[phenotype_network, *from_all_plates(single_cell_crops)],
    kinds=["pytorch"],
)
def cell_embeddings(
    context: dg.AssetExecutionContext,
    config: EmbeddingConfig,
    lake: LakeResource,
    screens: ScreensResource,
    mlflow: MlflowResource,
) -> dg.MaterializeResult:
    """The last layer of a network before its classes, for every cell of the screen."""
    run = ScreenRun.start(context, lake, screens)
    uri = config.model or f"models:/{network_name(run.name)}@champion"
    network = _network(uri, mlflow.open().tracking_uri, is_asked_for=bool(config.model))
    has_crops = run.lake.exists("single_cell_crops")
    crops = stored_crops(run.lake, run.where) if has_crops else iter(())
    rows = embedding_rows(crops, network) if network is not None else iter(())
    commit = run.land(CELL_EMBEDDINGS, rows, parameters={"model": uri})
    return run.report(
        commit,
        {
            "model": "none" if network is None else f"{network.name}/{network.version}",
            "cells per second": round(commit.rows / max(commit.seconds, 1e-9), 1),
            "megabytes written": round(commit.bytes / 1e6, 2),
        },
        [run.unique_keys(CELL_EMBEDDINGS, run.where)],
    )


def _network(uri: str, tracking_uri: str, is_asked_for: bool) -> LoadedNetwork | None:
    """The network; none if the screen has no champion yet and no other one was asked for."""
    try:
        return load_network(uri, tracking_uri)
    except UnknownNameError:
        if is_asked_for:
            raise
        return None


@table_asset(
    EMBEDDING_PROFILES, screen_partitions, deps=[cell_embeddings, *from_all_plates(plate_map)]
)
def embedding_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Mean embedding of each well, as it is and after the screen's recipe and corrections."""
    run = ScreenRun.start(context, lake, screens)
    config = run.screen.config
    plates = run.lake.read("cell_embeddings", run.where, columns=["Metadata_Plate"])
    parts = [
        profile_embeddings(run.lake, PlateKey(run.name, plate))
        for plate in plates["Metadata_Plate"].unique().sort()
    ]
    parts = [part for part in parts if part.height]
    profiles = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
    facts: dict[str, object] = {"wells": profiles.height}
    rows = profiles
    if profiles.height:
        rows = profiles.with_columns(pl.lit(UNCORRECTED).alias("Metadata_Correction"))
        reference = reference_of(profiles, config.reference)
        try:
            corrected = correct_screen(
                profiles, config.corrections, config.recipe, reference
            ).profiles
            facts["mechanism accuracy"] = mechanism_accuracy(consensus_of(corrected))
            rows = pl.concat([rows, corrected], how="diagonal_relaxed")
        except (ConfigurationError, TableMissingError) as error:
            context.log.warning(f"embeddings of screen {run.name} stay uncorrected: {error}")
            facts["uncorrected because"] = str(error)
    commit = run.land(
        EMBEDDING_PROFILES,
        [] if rows.is_empty() else rows,
        parameters={
            "recipe": config.recipe,
            "cell_embeddings": run.lake.version("cell_embeddings"),
        },
    )
    return run.report(commit, facts, [run.unique_keys(EMBEDDING_PROFILES, run.where)])
