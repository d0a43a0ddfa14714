"""Marts: dbt builds them in a scratch database over the lake's views, then each lands in Delta."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from phenolake.stages.marts import land_marts, prepare_scratch
from phenolake_assets.dbt_project import dbt_executable, project_folder
from phenolake_assets.landing import STORAGE_RETRY, clear_failures
from phenolake_resources import LakeResource, ScreensResource


class _LakeTranslator(DagsterDbtTranslator):
    """Sources are the assets of the same name; models are assets of the group `marts`."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        name = str(dbt_resource_props["name"])
        # readout_values is a view over the well profiles, made for dbt alone.
        return dg.AssetKey("normalized_profiles" if name == "readout_values" else name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return "marts"


def mart_assets(manifest: Path) -> dg.AssetsDefinition:
    """The dbt models as assets, whose tests are asset checks."""

    @dbt_assets(
        manifest=manifest,
        name="marts",
        dagster_dbt_translator=_LakeTranslator(),
        retry_policy=STORAGE_RETRY,
        pool="marts",
    )
    def marts(
        context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
    ) -> Iterator[Any]:
        """Reports over all plates, built by dbt and kept as Delta tables."""
        with clear_failures(), tempfile.TemporaryDirectory(prefix="phenolake-") as folder:
            opened = lake.open()
            scratch = Path(folder) / "scratch.duckdb"
            known, errors = screens.open().screens()
            for error in errors:
                context.log.warning(str(error))
            prepare_scratch(opened, [screen.config for screen in known], scratch)
            os.environ["PHENOLAKE_DBT_DATABASE"] = str(scratch)
            project = str(project_folder())
            dbt = DbtCliResource(
                project_dir=project,
                profiles_dir=project,
                dbt_executable=dbt_executable(),
                global_config_flags=["--quiet", "--log-path", folder],
            )
            invocation = dbt.cli(
                ["build"],
                context=context,
                target_path=Path(folder) / "target",
                raise_on_error=False,
            )
            events = list(invocation.stream())
            if not invocation.is_successful():
                raise dg.Failure(description=f"dbt build failed: {invocation.get_error()}")
            for commit in land_marts(opened, scratch, run_id=context.run_id):
                context.log.info(
                    f"marts.{commit.table}: {commit.rows} rows, version {commit.version}"
                )
            yield from events

    return marts
