"""Gold assets of a screen: batch-corrected profiles, and one profile per perturbation."""

import dagster as dg

from phenolake.pictures import as_markdown, profile_map
from phenolake.stages.screen_profiles import (
    CORRECTIONS,
    consensus_of,
    correct_screen,
    mechanism_accuracy,
    screen_normalization,
)
from phenolake.tables import BATCH_CORRECTED_PROFILES, CONSENSUS_PROFILES
from phenolake_assets.columns import table_metadata
from phenolake_assets.landing import STORAGE_RETRY, ScreenRun, clear_failures, key_check
from phenolake_assets.partitions import screens as screen_partitions
from phenolake_assets.well_profiles import normalized_profiles
from phenolake_resources import LakeResource, ScreensResource


@dg.asset(
    deps=[dg.AssetDep(normalized_profiles, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=screen_partitions,
    group_name="gold",
    kinds={"deltalake"},
    metadata=table_metadata(BATCH_CORRECTED_PROFILES),
    code_version="1",
    retry_policy=STORAGE_RETRY,
    check_specs=[key_check("batch_corrected_profiles")],
)
def batch_corrected_profiles(
    context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
) -> dg.MaterializeResult:
    """Profiles of all wells of the screen, uncorrected and sphered on the negative controls."""
    with clear_failures():
        run = ScreenRun.start(context, lake, screens)
        normalized = screen_normalization(run.lake.read("normalized_profiles", run.where))
        corrected, dropped = correct_screen(normalized)
        commit = run.land(
            BATCH_CORRECTED_PROFILES,
            corrected,
            parameters={
                "corrections": list(CORRECTIONS),
                "normalized_profiles": run.lake.version("normalized_profiles"),
            },
        )
        pictures = {
            f"map, {method}": dg.MetadataValue.md(
                as_markdown(
                    profile_map(
                        corrected.filter(corrected["Metadata_Correction"] == method),
                        ["Metadata_Plate", "Metadata_MOA"],
                    ),
                    f"profiles, {method}",
                )
            )
            for method in corrected["Metadata_Correction"].unique().sort()
        }
        return run.report(
            commit,
            {
                "plates": corrected["Metadata_Plate"].n_unique(),
                "features kept": sum(
                    not name.startswith("Metadata_") for name in corrected.columns
                ),
                "features dropped": {
                    str(operation): count
                    for operation, count in dropped["operation"]
                    .value_counts()
                    .sort("operation")
                    .iter_rows()
                },
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
