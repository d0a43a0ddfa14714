"""Gold asset: every segmentation method that runs here, scored on a screen's annotated images."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from phenolake.importing.annotated import annotated_images
from phenolake.pictures import as_markdown, disagreement_picture
from phenolake.segmentation import resolve_method
from phenolake.stages.segmentation_scores import (
    OVERALL,
    Comparison,
    available_methods,
    compare_methods,
)
from phenolake.tables import SEGMENTATION_SCORES
from phenolake_assets.landing import ScreenRun
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource


@table_asset(SEGMENTATION_SCORES, screen_partitions, pool="segmentation")
def segmentation_scores(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """F1, average precision and panoptic quality of every method on hand-made masks.

    A screen names the folder of its annotated images as `annotated`; without one there is nothing
    to score, and the table stays empty.
    """
    run = ScreenRun.start(context, lake, screens)
    folder = run.screen.config.annotated
    if folder is None:
        commit = run.land(SEGMENTATION_SCORES, [])
        note = "none; `annotated` in screen.yaml names a folder of images with label masks"
        return run.report(
            commit,
            {"annotated images": note},
            [run.unique_keys(SEGMENTATION_SCORES, run.where)],
        )
    images = annotated_images(run.screen.folder / Path(folder).expanduser())
    methods, missing = available_methods()
    compared = compare_methods(run.progress(images, len(images), "scoring"), methods)
    hashes = {name: resolve_method(name).model_hash for name in methods}
    rows = compared.scores
    if not rows.is_empty():
        model = pl.col("method").replace_strict(hashes, return_dtype=pl.String)
        rows = rows.with_columns(model.alias("model_hash"))
    commit = run.land(
        SEGMENTATION_SCORES,
        [] if rows.is_empty() else rows,
        {"annotated": folder, "methods": hashes},
    )
    for problem in compared.problems:
        context.log.warning(problem.sentence(""))
    return run.report(
        commit,
        {
            "annotated images": len(images) - len(compared.problems),
            "images that can't be read": len(compared.problems),
            "methods that don't run here": missing or "none",
            **_figures(compared),
        },
        [run.unique_keys(SEGMENTATION_SCORES, run.where)],
    )


def _figures(compared: Comparison) -> dict[str, Any]:
    """Per method: the figures over all images, and the image on which it is worst."""
    shown: dict[str, Any] = {}
    if compared.scores.is_empty():
        return shown
    at_half = compared.scores.filter(
        (pl.col("condition") == OVERALL) & (pl.col("threshold") == 0.5)
    )
    for row in at_half.iter_rows(named=True):
        names = ("f1", "ap", "panoptic_quality", "seconds_per_image")
        shown[row["method"]] = {name: round(row[name], 4) for name in names} | {
            "splits": row["splits"],
            "merges": row["merges"],
        }
    for method, worst in compared.worst.items():
        title = f"{method}, {worst.name}, F1 {worst.f1:.2f}"
        png = disagreement_picture(worst.plane, worst.truth, worst.predicted, title)
        shown[f"worst image of {method}"] = dg.MetadataValue.md(as_markdown(png, title))
    return shown
