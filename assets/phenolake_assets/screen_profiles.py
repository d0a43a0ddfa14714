"""Gold assets of a screen: batch-corrected profiles, and one profile per perturbation."""

import dagster as dg
import polars as pl

from phenolake.pictures import as_markdown, profile_map
from phenolake.profiling import input_problems
from phenolake.stages.reference import CONTROLS, reference_of
from phenolake.stages.screen_profiles import (
    consensus_of,
    correct_screen,
    mechanism_accuracy,
    profiles_of,
    selection_of,
    start_of,
)
from phenolake.tables import BATCH_CORRECTED_PROFILES, CONSENSUS_PROFILES, FEATURE_SELECTION
from phenolake_assets.columns import table_metadata
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures, key_check
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.well_profiles import normalized_profiles, well_profiles
from phenolake_resources import LakeResource, ScreensResource

#: Where recipes start; from the second where only normalized profiles were imported.
STARTS = (well_profiles, normalized_profiles)

#: Problems that make profiles wrong; the others (a feature without values or spread, treatments
#: in one batch only) are listed, and what is unusable is dropped by name in `feature_selection`.
_HARMFUL = ("no_controls", "duplicated_well", "infinite_values", "two_spellings")


@dg.asset(
    deps=[dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS],
    partitions_def=screen_partitions,
    group_name="gold",
    kinds={"deltalake"},
    metadata=table_metadata(FEATURE_SELECTION),
    code_version="1",
    retry_policy=STORAGE_RETRY,
    check_specs=[
        key_check("feature_selection"),
        dg.AssetCheckSpec(
            "inputs_are_sound",
            asset="feature_selection",
            description="Every plate has controls; no well twice, no infinite value, "
            "no perturbation in two spellings.",
        ),
    ],
)
def feature_selection(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Features that the screen's recipe leaves out, each with the rule and the number that broke it."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        config = run.screen.config
        start = start_of(run.lake, run.where, config.recipe)
        reference = reference_of(start.profiles, config.reference)
        # What the rule falls back to is a problem of the input all the same.
        expected = CONTROLS.wells if reference.warning else reference.wells
        problems = input_problems(start.profiles, expected)
        dropped = selection_of(start.profiles, start.recipe, reference).with_columns(
            pl.lit(run.name).alias("Metadata_Screen")
        )
        commit = run.land(
            FEATURE_SELECTION,
            dropped,
            parameters={"recipe": start.recipe.name, start.table: start.version},
        )
        harmful = problems.filter(pl.col("problem").is_in(_HARMFUL))
        return run.report(
            commit,
            {
                "features dropped": _counts(dropped["operation"]),
                "problems of the input": _counts(problems["problem"]),
                "first problems": dg.MetadataValue.md(_as_table(problems.head(20))),
            },
            [
                run.unique_keys(FEATURE_SELECTION, run.where),
                dg.AssetCheckResult(
                    check_name="inputs_are_sound",
                    passed=harmful.is_empty(),
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"problems": dg.MetadataValue.md(_as_table(harmful.head(20)))},
                ),
            ],
        )


@dg.asset(
    deps=[dg.AssetDep(table, partition_mapping=dg.AllPartitionMapping()) for table in STARTS],
    partitions_def=screen_partitions,
    group_name="gold",
    kinds={"deltalake"},
    metadata=table_metadata(BATCH_CORRECTED_PROFILES),
    code_version="2",
    retry_policy=STORAGE_RETRY,
    check_specs=[key_check("batch_corrected_profiles")],
)
def batch_corrected_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Profiles of all wells of the screen by its recipe, once with each of its batch corrections."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        config = run.screen.config
        start = start_of(run.lake, run.where, config.recipe)
        reference = reference_of(start.profiles, config.reference)
        if reference.warning:
            context.log.warning(reference.warning)
        corrected = correct_screen(start.profiles, config.corrections, start.recipe, reference)
        profiles = corrected.profiles.with_columns(
            pl.lit(start.version, pl.Int64).alias("Metadata_InputVersion")
        )
        commit = run.land(
            BATCH_CORRECTED_PROFILES,
            profiles,
            parameters={
                "recipe": start.recipe.name,
                "corrections": config.corrections,
                "reference": reference.name,
                start.table: start.version,
            },
        )
        pictures = {
            f"map, {method}": dg.MetadataValue.md(
                as_markdown(
                    profile_map(profiles_of(profiles, method), ["Metadata_Plate", "Metadata_MOA"]),
                    f"profiles, {method}",
                )
            )
            for method in config.corrections
        }
        return run.report(
            commit,
            {
                "plates": profiles["Metadata_Plate"].n_unique(),
                "recipe": start.recipe.name,
                "reference": reference.name,
                **({"warning": reference.warning} if reference.warning else {}),
                "features kept": sum(not name.startswith("Metadata_") for name in profiles.columns),
                "features dropped": _counts(corrected.dropped["operation"]),
                **pictures,
            },
            [run.unique_keys(BATCH_CORRECTED_PROFILES, run.where)],
        )


@dg.asset(
    deps=[batch_corrected_profiles],
    partitions_def=screen_partitions,
    group_name="gold",
    kinds={"deltalake"},
    metadata=table_metadata(CONSENSUS_PROFILES),
    code_version="1",
    retry_policy=STORAGE_RETRY,
    check_specs=[key_check("consensus_profiles")],
)
def consensus_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """One profile per perturbation and dose: the median over its wells on all plates."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        consensus = consensus_of(run.lake.read("batch_corrected_profiles", run.where))
        commit = run.land(
            CONSENSUS_PROFILES,
            consensus,
            parameters={
                "method": "median",
                "batch_corrected_profiles": run.lake.version("batch_corrected_profiles"),
            },
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
