"""A lake of two plates, small enough to work every mart out by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from phenolake.tables import TABLES
from phenolake.tables.dbt_sources import FOR_DBT

READOUT = "Metadata_CellCount"

# well, perturbation, dose, control type, control group, value, robust z
P1_WELLS = [
    ("A01", "DMSO", None, "negcon", "top", 10.0, -0.5),
    ("A02", "DMSO", None, "negcon", "top", 12.0, 0.5),
    ("A03", "killer", 10.0, "poscon", "top", 100.0, 40.0),
    ("A04", "killer", 10.0, "poscon", "top", 104.0, 42.0),
    ("A05", "drug", 1.0, "trt", "top", 21.0, 5.0),
    ("A06", "dud", 1.0, "trt", "top", 11.0, 0.0),
    # The group `low` has no negative control of its own: it is judged against the plate's.
    ("B01", "killer", 10.0, "poscon", "low", 60.0, 20.0),
    ("B02", "killer", 10.0, "poscon", "low", 62.0, 21.0),
    ("B03", "drug", 1.0, "trt", "low", float("nan"), float("nan")),
    ("B04", None, None, "empty", "low", 0.0, -4.0),
]
# A plate without positive control; its wells name no group.
P2_WELLS = [
    ("A01", "DMSO", None, "negcon", None, 30.0, 0.0),
    ("A02", "drug", 1.0, "trt", None, 43.0, 7.0),
    ("A03", "dud", 1.0, "trt", None, 31.0, float("inf")),
]


DECLARED = {**TABLES, **{table.name: table for table in FOR_DBT}}


@dataclass(frozen=True)
class Build:
    """One `dbt build` and the database it wrote to."""

    database: Path
    exit_status: int
    output: str

    def marts(self) -> dict[str, pl.DataFrame]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            names = connection.sql(
                "select table_name from information_schema.tables "
                "where table_schema = 'marts' and table_type = 'BASE TABLE'"
            ).fetchall()
            return {name: connection.sql(f"from marts.{name}").pl() for (name,) in names}


@pytest.fixture(scope="module")
def dbt_build(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, pa.Table]], Build]:
    """Run `dbt build` over the given tables; everything it writes stays in a temporary folder."""
    dbt = Path(sys.executable).with_name("dbt")
    if not dbt.exists():
        pytest.skip("dbt is not installed beside this Python")

    def build(contents: dict[str, pa.Table]) -> Build:
        folder = tmp_path_factory.mktemp("dbt")
        database, project = folder / "lake.duckdb", repository / "dbt"
        write_database(database, contents)
        environment = {
            "PHENOLAKE_DBT_DATABASE": str(database),
            "DBT_PROJECT_DIR": str(project),
            "DBT_PROFILES_DIR": str(project),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }
        result = subprocess.run(
            [dbt, "--no-use-colors", "build"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        return Build(database, result.returncode, result.stdout + result.stderr)

    return build


@pytest.fixture
def two_plates() -> dict[str, pa.Table]:
    """The tables of the lake, by name."""
    return tables()


@pytest.fixture(scope="module")
def two_plates_and_more(
    random_wells: pa.Table,
    screen_with_controls: pa.Table,
    heavy_screen: pa.Table,
    screen_with_doses: pa.Table,
) -> dict[str, pa.Table]:
    """The same, and further screens in `readout_values`."""
    more = [random_wells, screen_with_controls, heavy_screen, screen_with_doses]
    contents = tables()
    contents["readout_values"] = pa.concat_tables([contents["readout_values"], *more])
    return contents


def tables() -> dict[str, pa.Table]:
    """Rows by table name; tables without rows are there and empty."""
    catalog, plate_map, quality, masks, readouts = [], [], [], [], []
    for plate, wells in (("P1", P1_WELLS), ("P2", P2_WELLS)):
        for well, perturbation, dose, control, group, value, z_score in wells:
            key = {"Metadata_Screen": "S", "Metadata_Plate": plate, "Metadata_Well": well}
            treatment = {
                "Metadata_Perturbation": perturbation,
                "Metadata_Concentration": dose,
                "Metadata_ConcentrationUnit": "uM" if dose else None,
                "Metadata_ControlType": control,
                "Metadata_ControlGroup": group,
            }
            plate_map.append(key | treatment)
            measured = {"Metadata_CellCount": 5, "readout": READOUT, "value": value}
            readouts.append(key | treatment | measured | {"z_score": z_score})
            for site in (1, 2):
                sited = key | {"Metadata_Site": site}
                blurred = (well, site) == ("A02", 2)
                catalog += [_plane(sited, "DNA"), _plane(sited, "GFP")]
                # The second site of A01 was lost; the second site of A02 has one blurred channel.
                if (well, site) != ("A01", 2):
                    masks += [_mask(sited, "Nuclei", site + 1), _mask(sited, "Cells", 99)]
                quality += [
                    sited | {"channel": "DNA", "focus_score": 2.0, "is_blurred": False},
                    sited | {"channel": "GFP", "focus_score": 4.0, "is_blurred": blurred},
                ]
    rows = {
        "raw_image_catalog": catalog,
        "plate_map": plate_map,
        "image_quality": quality,
        "segmentation_masks": masks,
        "readout_values": readouts,
        "model_predictions": [
            _cell(1, "dead", "dead"),
            _cell(2, "round", "round"),
            _cell(3, "round", "round"),
            _cell(4, "round", "dead", split="train"),
            _cell(1, "dead", "round", well="A02"),
            _cell(2, "round", None, well="A02", novelty=1.0),
        ],
        "dose_responses": [_curve("flat", no_activity=True), _curve("steep", no_activity=False)],
        "table_commits": [
            _commit("well_profiles", 0, is_current=False),
            _commit("normalized_profiles", 0, {"well_profiles": 0}),
            _commit("batch_corrected_profiles", 3, {"normalized_profiles": 0}),
            _commit("well_profiles", 1),
            _commit("normalized_profiles", 1, operation="compact", is_current=False),
        ],
        "quarantine": [_refused("P1", 1), _refused("P1", 2), _refused("P3", 1)],
    }
    return {
        name: pa.Table.from_pylist(rows.get(name, []), schema=table.arrow_schema())
        for name, table in DECLARED.items()
    }


def write_database(path: Path, contents: dict[str, pa.Table]) -> None:
    """Write the tables into the schemas that dbt reads."""
    with duckdb.connect(str(path)) as connection:
        for schema in ("bronze", "silver", "gold"):
            connection.execute(f"create schema {schema}")
        for name, rows in contents.items():
            connection.register("rows", rows)
            connection.execute(f"create table {DECLARED[name].layer}.{name} as from rows")
            connection.unregister("rows")


def _plane(sited: dict[str, object], channel: str) -> dict[str, object]:
    name = f"{sited['Metadata_Well']}_{sited['Metadata_Site']}_{channel}.tif"
    file = {"uri": name, "index_in_file": 0, "bytes": 32, "source_format": "filename_pattern"}
    return (
        sited
        | file
        | {"channel": channel, "z": 0, "t": 0, "height": 4, "width": 4, "dtype": "uint16"}
    )


def _mask(sited: dict[str, object], compartment: str, objects: int) -> dict[str, object]:
    image = {"labels": b"", "codec": "raw", "height": 4, "width": 4, "method": "classical"}
    return sited | image | {"compartment": compartment, "object_count": objects}


def _refused(plate: str, number: int) -> dict[str, object]:
    return {
        "Metadata_Screen": "S",
        "Metadata_Plate": plate,
        "stage": "raw_image_catalog",
        "number": number,
        "problem": "unreadable_image",
        "found_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def _cell(
    number: int,
    label: str,
    truth: str | None,
    well: str = "A01",
    split: str = "validation",
    novelty: float = 0.5,
) -> dict[str, object]:
    return {
        "Metadata_Screen": "S", "Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": 1,
        "Metadata_ObjectNumber": number, "model_name": "m", "model_version": "1",
        "mlflow_run_id": "r", "label": label, "true_label": truth, "probability": 0.9,
        "entropy": 0.1, "split": split, "novelty": novelty,
    }  # fmt: skip


def _curve(response: str, no_activity: bool) -> dict[str, object]:
    numbers = {"zero": 10.0, "full": 30.0, "ec50": 2.0, "hill": 1.0, "activity_p": 0.5}
    flags = {"no_activity": no_activity, "outside_tested_range": False, "poor_fit": False}
    return {
        "Metadata_Screen": "S", "Metadata_Perturbation": "drug", "response": response, "wells": 6,
        "control_wells": 2, "doses": 3, "flag": "no_activity" if no_activity else "ok",
    } | numbers | flags  # fmt: skip


def _commit(
    table: str,
    version: int,
    inputs: dict[str, int] | None = None,
    *,
    operation: str = "write",
    is_current: bool = True,
) -> dict[str, object]:
    return {
        "layer": "gold", "table_name": table, "version": version, "Metadata_Screen": "S",
        "Metadata_Plate": "P1", "operation": operation, "is_current": is_current,
        "parameters": json.dumps({"statistic": "median"}), "inputs": json.dumps(inputs or {}),
    }  # fmt: skip
