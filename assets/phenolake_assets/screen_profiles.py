"""Gold assets of a screen: batch-corrected profiles, and one profile per perturbation."""

import dagster as dg
import polars as pl

from phenolake.pictures import as_markdown, profile_map
from phenolake.profiling import input_problems
from phenolake.screens.config import ScreenConfig
from phenolake.stages.fitted_recipes import corrected_by
from phenolake.stages.reference import CONTROLS
from phenolake.stages.screen_correction import correct_screen
from phenolake.stages.screen_profiles import (
    Start,
    consensus_of,
    mechanism_accuracy,
    profiles_of,
    selection_of,
    start_of,
)
from phenolake.tables import (
    BATCH_CORRECTED_PROFILES,
    CONSENSUS_PROFILES,
    FEATURE_SELECTION,
    FITTED_RECIPES,
)
from phenolake_assets.fitted_recipes import STARTS, fitted_recipes
from phenolake_assets.landing import ScreenRun
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.table_asset import table_asset
from phenolake_resources import LakeResource, ScreensResource

#: Problems that make profiles wrong.
_HARMFUL = ("no_controls", "duplicated_well", "infinite_values", "two_spellings")
#: Problems that cost a feature, a plate or an answer, and leave the rest right.
_COSTLY = ("one_well", "missing_feature", "constant_controls", "one_batch_only", "one_plate_batch")


@table_asset(
    FEATURE_SELECTION,
    screen_partitions,
    deps=[dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS],
    checks={
        "inputs_are_sound": "Every plate has controls; no well twice, no infinite value, "
        "no perturbation in two spellings.",
        "nothing_is_lost": "No plate costs the screen a feature that other plates have; no plate of one "
        "well, no batch of one plate, no treatment in one batch alone.",
    },
    code_version="2",
)
def feature_selection(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Features that the screen's recipe leaves out, each with the rule and the number that broke it."""
    run = ScreenRun.start(context, lake, screens)
    config = run.screen.config
    start = start_of(run.lake, run.where, config.recipe, config.reference)
    reference = start.reference
    # What the rule falls back to is a problem of the input all the same.
    expected = CONTROLS.wells if reference.warning else reference.wells
    problems = input_problems(start.all_profiles, expected)
    dropped = selection_of(
        start.profiles, start.recipe, reference, config.profiles.adjustments
    ).with_columns(pl.lit(run.name).alias("Metadata_Screen"))
    commit = run.land(
        FEATURE_SELECTION,
        dropped,
        parameters={"recipe": start.recipe.name, start.table: start.version},
    )
    plates = start.all_profiles["Metadata_Plate"].unique().to_list()
    return run.report(
        commit,
        {
            "features dropped": _counts(dropped["operation"]),
            "problems of the input": _counts(problems["problem"]),
            "first problems": dg.MetadataValue.md(_as_table(problems.head(20))),
        },
        [
            run.unique_keys(FEATURE_SELECTION, run.where),
            _check("inputs_are_sound", problems.filter(pl.col("problem").is_in(_HARMFUL))),
            _check("nothing_is_lost", _of_some_plates(problems, plates)),
        ],
    )


@table_asset(
    BATCH_CORRECTED_PROFILES,
    screen_partitions,
    deps=[
        fitted_recipes,
        *(dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS),
    ],
    code_version="3",
)
def batch_corrected_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Profiles of all wells of the screen by its recipe, once with each of its batch corrections."""
    run = ScreenRun.start(context, lake, screens)
    config = run.screen.config
    start = start_of(run.lake, run.where, config.recipe, config.reference)
    if start.reference.warning:
        context.log.warning(start.reference.warning)
    fits = run.lake.read(FITTED_RECIPES.name, run.where)
    fit_version = run.lake.version(FITTED_RECIPES.name)
    profiles = corrected_by(
        fits, start, config.corrections, config.profiles.adjustments
    ).with_columns(pl.lit(fit_version, pl.Int64).alias("Metadata_FitVersion"))
    commit = run.land(
        BATCH_CORRECTED_PROFILES,
        profiles,
        parameters={
            "recipe": start.recipe.name,
            "corrections": config.corrections,
            "adjustments": config.profiles.adjustments,
            "reference": start.reference.name,
            start.table: start.version,
            FITTED_RECIPES.name: fit_version,
        },
    )
    return run.report(
        commit,
        {
            "plates": profiles["Metadata_Plate"].n_unique(),
            "plates left out": ", ".join(start.left_out) or "none",
            "recipe": start.recipe.name,
            "reference": start.reference.name,
            **({"warning": start.reference.warning} if start.reference.warning else {}),
            "features kept": sum(not name.startswith("Metadata_") for name in profiles.columns),
            **_maps(profiles, start, config),
        },
        [run.unique_keys(BATCH_CORRECTED_PROFILES, run.where)],
    )


def _maps(
    profiles: pl.DataFrame, start: Start, config: ScreenConfig
) -> dict[str, dg.MarkdownMetadataValue]:
    """For each version the wells before and after it, by batch and by mechanism."""
    batch = pl.coalesce("Metadata_Batch", "Metadata_Plate").alias("Metadata_Batch")
    profiles = profiles.with_columns(batch)
    names = profiles["Metadata_Correction"].unique(maintain_order=True).to_list()
    if "none" in names:
        before = profiles_of(profiles, "none")
    else:
        plain = correct_screen(start.profiles, ["none"], start.recipe, start.reference).profiles
        before = plain.with_columns(batch)
    labelled = before["Metadata_MOA"].is_not_null().any()
    colours = ["Metadata_Batch", "Metadata_MOA" if labelled else "Metadata_Perturbation"]
    shown = {}
    for name in names:
        tables = {"before": before, name: profiles_of(profiles, name)}
        if name == "none":
            tables = {"none": before}
        picture = profile_map(tables, colours)
        shown[f"map, {name}"] = dg.MetadataValue.md(as_markdown(picture, f"profiles, {name}"))
    return shown


@table_asset(CONSENSUS_PROFILES, screen_partitions, deps=[batch_corrected_profiles])
def consensus_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """One profile per perturbation and dose: the consensus of its wells on all plates."""
    run = ScreenRun.start(context, lake, screens)
    method = run.screen.config.profiles.consensus
    version = run.lake.version("batch_corrected_profiles")
    consensus = consensus_of(
        run.lake.read("batch_corrected_profiles", run.where), method
    ).with_columns(pl.lit(version, pl.Int64).alias("Metadata_InputVersion"))
    commit = run.land(
        CONSENSUS_PROFILES,
        consensus,
        parameters={"method": method, "batch_corrected_profiles": version},
    )
    return run.report(
        commit,
        {
            "perturbations": consensus["Metadata_Perturbation"].n_unique(),
            "1-NN mechanism accuracy (NSC)": mechanism_accuracy(consensus)
            or "no mechanism has two compounds",
        },
        [run.unique_keys(CONSENSUS_PROFILES, run.where)],
    )


def _of_some_plates(problems: pl.DataFrame, plates: list[str]) -> pl.DataFrame:
    """Costly problems, without features that no plate has, which is no plate's fault.

    A plate that the plate map puts in no batch is a batch by its own name: that is no problem.
    """
    costly = problems.filter(
        pl.col("problem").is_in(_COSTLY),
        (pl.col("problem") != "one_plate_batch")
        | ~pl.col("where").is_in([f"batch {plate}" for plate in plates]),
    )
    everywhere = pl.len().over("problem", "feature") == len(plates)
    return costly.filter(pl.col("feature").is_null() | ~everywhere)


def _check(name: str, problems: pl.DataFrame) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=problems.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "problems": dg.MetadataValue.md(_as_table(problems.head(20))),
            "number of problems": problems.height,
        },
    )


def _counts(words: pl.Series) -> dict[str, int]:
    return {str(word): count for word, count in words.value_counts().sort(words.name).iter_rows()}


def _as_table(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return "none"
    lines = ["| " + " | ".join(rows.columns) + " |", "|---" * rows.width + "|"]
    lines += [
        "| " + " | ".join("" if v is None else str(v) for v in r) + " |" for r in rows.iter_rows()
    ]
    return "\n".join(lines)
