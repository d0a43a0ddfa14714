"""Marts: dbt builds them in a scratch database over the lake's views, then each lands in Delta."""

import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from phenolake.stages.marts import land_marts, prepare_scratch
from phenolake.tables.dbt_sources import FOR_DBT
from phenolake_assets.dbt_project import dbt_executable, project_folder, sources_of_models
from phenolake_assets.landing import STORAGE_RETRY, clear_failures
from phenolake_resources import LakeResource, ScreensResource


class _LakeTranslator(DagsterDbtTranslator):
    """Sources are the assets of the same name; models are assets of the group `marts`."""

    _made_after: ClassVar = {table.name: asset for table, asset in FOR_DBT.items()}

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        name = str(dbt_resource_props["name"])
        return dg.AssetKey(self._made_after.get(name, name))

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
            versions = prepare_scratch(opened, [screen.config for screen in known], scratch)
            os.environ["PHENOLAKE_DBT_DATABASE"] = str(scratch)
            project = str(project_folder())
            dbt = DbtCliResource(
                project_dir=project,
                profiles_dir=project,
                dbt_executable=dbt_executable(),
                # Its log lines are what the events below are made from: it must not be quiet.
                global_config_flags=["--log-path", folder],
            )
            invocation = dbt.cli(
                ["build"],
                context=context,
                target_path=Path(folder) / "target",
                raise_on_error=False,
            )
            with redirect_stdout(io.StringIO()) as said:
                events = list(invocation.stream())
            context.log.info(said.getvalue())
            if not invocation.is_successful():
                yield from (event for event in events if not isinstance(event, dg.Output))
                raise dg.Failure(description=f"dbt build failed: {invocation.get_error()}")
            landed = {
                commit.table: {"dagster/row_count": commit.rows, "delta_version": commit.version}
                for commit in land_marts(
                    opened, scratch, context.run_id, sources_of_models(manifest), versions
                )
            }
            for event in events:
                if isinstance(event, dg.Output):
                    event = event.with_metadata({**event.metadata, **landed[event.output_name]})
                yield event

    return marts
