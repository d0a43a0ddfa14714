"""What every asset does around its one engine call: open, write once, check, report.

`PlateRun` and `ScreenRun` hold what a materialization needs to know of its partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import polars as pl
import pyarrow as pa

from phenolake import __version__
from phenolake.errors import PhenolakeError
from phenolake.explorer.links import plate_link, screen_link
from phenolake.identity import PlateKey
from phenolake.images.planes import Problem, quarantine_rows
from phenolake.lake import Commit, Lake
from phenolake.screens.discover import Plate, Screen
from phenolake.screens.store_inbox import fetch_plate, is_released
from phenolake.stages.light import illumination_file
from phenolake.tables import QUARANTINE, Table
from phenolake_resources import LakeResource, ScreensResource

Item = TypeVar("Item")

#: Only faults of storage are worth a second try; errors of ours say so themselves.
STORAGE_RETRY = dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL)

KEY_CHECK = "keys_are_unique"


@contextmanager
def clear_failures() -> Iterator[None]:
    """Turn our errors into a run failure that shows the sentence and is not retried."""
    try:
        yield
    except PhenolakeError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def key_check(table: str) -> dg.AssetCheckSpec:
    """The check every table has."""
    return dg.AssetCheckSpec(
        KEY_CHECK, asset=table, description="No two rows of the partition have the same key."
    )


@dataclass
class Run:
    """One materialization: its Dagster context and the lake."""

    context: dg.AssetExecutionContext
    lake: Lake
    started: float = field(default_factory=time.monotonic)

    def progress(self, items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
        """Pass items on, with a bar on a terminal and a log line every tenth part in the run."""
        from tqdm import tqdm

        step = max(1, total // 10)
        bar = tqdm(items, total=total, desc=what, unit="site", disable=None, leave=False)
        for done, item in enumerate(bar, start=1):
            yield item
            if done % step == 0 or done == total:
                self.context.log.info(f"{what}: {done} of {total}")

    @staticmethod
    def batches(table: Table, rows: Iterable[list[dict[str, Any]]]) -> Iterator[pa.RecordBatch]:
        """Arrow batches of a table's declared columns from lists of rows."""
        for part in rows:
            yield pa.RecordBatch.from_pylist(part, schema=table.arrow_schema())

    @property
    def page(self) -> str:
        """Address of the page that shows the result; empty where there is none."""
        return ""

    def report(
        self,
        commit: Commit,
        metadata: Mapping[str, Any],
        checks: Sequence[dg.AssetCheckResult] = (),
    ) -> dg.MaterializeResult:
        """The materialization of one commit, with what people look for first."""
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": commit.rows,
                "seconds": round(time.monotonic() - self.started, 2),
                "delta_version": commit.version,
                "table": dg.MetadataValue.path(self.lake.table_uri(commit.table)),
                **({"explorer": dg.MetadataValue.url(self.page)} if self.page else {}),
                **metadata,
            },
            check_results=list(checks),
        )

    def inputs_of(self, table: Table) -> dict[str, int]:
        """Versions of the other tables that this materialization has read."""
        read = self.lake.versions_read
        return {name: version for name, version in read.items() if name != table.name}

    def quarantine_plate(self, key: PlateKey, stage: str, problems: Sequence[Problem]) -> None:
        """Put what a stage refused of a plate in place of what it refused before."""
        if not problems and not self._had_problems(key, stage):
            return
        rows = quarantine_rows(list(problems), key, stage, self.context.run_id)
        self.lake.write(
            QUARANTINE,
            rows,
            {**key.where, "stage": stage},
            run_id=self.context.run_id,
            code_version=__version__,
        )
        for problem in problems[:20]:
            self.context.log.warning(problem.sentence(key.plate))
        if len(problems) > 20:
            self.context.log.warning(
                f"{len(problems) - 20} more problems are in the quarantine table"
            )

    def _had_problems(self, key: PlateKey, stage: str) -> bool:
        if not self.lake.exists(QUARANTINE.name):
            return False
        rows = self.lake.read(QUARANTINE.name, key.where, columns=["stage"])
        return stage in rows["stage"]

    def unique_keys(self, table: Table, where: Mapping[str, str]) -> dg.AssetCheckResult:
        """Check the key of a partition just written."""
        keys = self.lake.read(table.name, where, columns=list(table.key))
        doubled = keys.height - keys.unique().height
        return dg.AssetCheckResult(
            check_name=KEY_CHECK, passed=doubled == 0, metadata={"rows with a doubled key": doubled}
        )


@dataclass
class PlateRun(Run):
    """The materialization of one plate."""

    screens: ScreensResource = field(kw_only=True)

    @classmethod
    def start(
        cls, context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
    ) -> PlateRun:
        """Open the lake for the plate of this partition."""
        return cls(context, lake.open(), screens=screens)

    @cached_property
    def key(self) -> PlateKey:
        """Screen and plate of the partition."""
        return PlateKey.parse(self.context.partition_key)

    @cached_property
    def screen(self) -> Screen:
        """The plate's screen as it is on disk now."""
        return self.screens.open().screen(self.key.screen)

    def plate(self) -> Plate:
        """The plate's folder; images that were left to the object store are fetched again."""
        store, inbox = self.screens.store(), self.screens.open().inbox
        if store is not None and is_released(inbox, self.key):
            files = fetch_plate(store, self.key, inbox)
            self.context.log.info(f"{files} files fetched again from {store.uri}")
        return self.screen.plate(self.key.plate)

    @property
    def page(self) -> str:
        """The plate's page of the explorer."""
        address = self.screens.explorer_url
        return address and address + plate_link(self.key.screen, self.key.plate)

    @property
    def where(self) -> dict[str, str]:
        """The plate's Delta partition."""
        return self.key.where

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Rows of this plate."""
        return self.lake.read(table, self.where, columns=None if columns is None else list(columns))

    def read_if_there(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Rows of this plate; none where the table does not exist, as for imported cells."""
        return self.read(table, columns) if self.lake.exists(table) else pl.DataFrame()

    def light(self, roles: Sequence[str]) -> AbstractContextManager[Path | None]:
        """File of the plate's illumination functions for its workers; None where a role has none."""
        return illumination_file(self.read("illumination_functions"), roles, self.lake)

    def land(
        self,
        table: Table,
        rows: Any,
        problems: list[Problem] | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> Commit:
        """Write the plate's rows in one commit, then the problems found while making them.

        `rows` may be a generator that appends to `problems` as it runs: the quarantine is written
        last, once it is exhausted.
        """
        run_id = self.context.run_id
        commit = self.lake.write(
            table,
            rows,
            self.where,
            run_id=run_id,
            code_version=__version__,
            parameters=parameters,
            inputs=self.inputs_of(table),
        )
        if problems is not None:
            self.quarantine_plate(self.key, table.name, problems)
        return commit


@dataclass
class ScreenRun(Run):
    """The materialization of what looks across all plates of a screen."""

    screens: ScreensResource = field(kw_only=True)

    @classmethod
    def start(
        cls, context: dg.AssetExecutionContext, lake: LakeResource, screens: ScreensResource
    ) -> ScreenRun:
        """Open the lake for the screen of this partition."""
        return cls(context, lake.open(), screens=screens)

    @property
    def name(self) -> str:
        """Name of the screen."""
        return self.context.partition_key

    @cached_property
    def screen(self) -> Screen:
        """The screen as it is on disk now."""
        return self.screens.open().screen(self.name)

    @property
    def page(self) -> str:
        """The screen's page of the explorer."""
        address = self.screens.explorer_url
        return address and address + screen_link(self.name)

    @property
    def where(self) -> dict[str, str]:
        """The screen's Delta partition."""
        return {"Metadata_Screen": self.name}

    def land(
        self, table: Table, rows: Any, parameters: Mapping[str, object] | None = None
    ) -> Commit:
        """Write the screen's rows in one commit."""
        return self.lake.write(
            table,
            rows,
            self.where,
            run_id=self.context.run_id,
            code_version=__version__,
            parameters=parameters,
            inputs=self.inputs_of(table),
        )

    def quarantine(self, stage: str, problems: Mapping[str, Sequence[Problem]]) -> None:
        """Put problems of plates in place of what the stage refused of the screen before."""
        refused = set(problems)
        if self.lake.exists(QUARANTINE.name):
            rows = self.lake.read(QUARANTINE.name, self.where, columns=["Metadata_Plate", "stage"])
            refused |= set(rows.filter(pl.col("stage") == stage)["Metadata_Plate"])
        for plate in sorted(refused):
            self.quarantine_plate(PlateKey(self.name, plate), stage, problems.get(plate, ()))
