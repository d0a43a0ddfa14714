"""What a reader yields: a plane it found, or a problem it met.

Neither holds pixels; both are plain values that cost little to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from phenolake.identity import PlateKey, Well
from phenolake.images.pixels import FileFacts

#: z of a projection that the instrument made beside the planes of its stack.
PROJECTION_Z = -1


@dataclass(frozen=True, slots=True)
class Plane:
    """One image plane: where it lies on the plate and in which file. Counts from 0: z, t, index.

    `projection` names how the instrument projected a stack to this plane; `facts` are given where
    the reader had to open the file anyway; `plate` where one folder holds several plates.
    """

    path: Path
    well: Well
    site: int
    channel: str
    z: int = 0
    t: int = 0
    index_in_file: int = 0
    pixel_size_um: float | None = None
    acquired_at: datetime | None = None
    instrument: str | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None
    exposure_ms: float | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    z_step_um: float | None = None
    projection: str | None = None
    plate: str | None = None
    facts: FileFacts | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One row for the quarantine: what was refused, where, why, and what to do."""

    problem: str
    advice: str
    uri: str | None = None
    well: str | None = None
    site: int | None = None
    channel: str | None = None
    expected: str | None = None
    got: str | None = None

    def sentence(self, plate: str) -> str:
        """The problem as one line for people."""
        place = ", ".join(
            f"{name} {value}"
            for name, value in (
                ("plate", plate),
                ("well", self.well),
                ("site", self.site),
                ("channel", self.channel),
                ("file", self.uri),
            )
            if value is not None
        )
        reason = f"expected {self.expected}, got {self.got}" if self.expected else (self.got or "")
        return f"{self.problem.replace('_', ' ')} ({place}){': ' + reason if reason else ''}. {self.advice}"


def quarantine_rows(
    problems: list[Problem], key: PlateKey, stage: str, run_id: str
) -> pl.DataFrame:
    """Problems as rows of the `quarantine` table, numbered in the order given."""
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {
            "Metadata_Screen": key.screen,
            "Metadata_Plate": key.plate,
            "stage": stage,
            "number": number,
            "Metadata_Well": problem.well,
            "Metadata_Site": problem.site,
            "channel": problem.channel,
            "uri": problem.uri,
            "problem": problem.problem,
            "expected": problem.expected,
            "got": problem.got,
            "advice": problem.advice,
            "run_id": run_id,
            "found_at": now,
        }
        for number, problem in enumerate(problems)
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "Metadata_Screen": pl.String,
        "Metadata_Plate": pl.String,
        "stage": pl.String,
        "number": pl.Int32,
        "Metadata_Well": pl.String,
        "Metadata_Site": pl.Int32,
        "channel": pl.String,
        "uri": pl.String,
        "problem": pl.String,
        "expected": pl.String,
        "got": pl.String,
        "advice": pl.String,
        "run_id": pl.String,
        "found_at": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(rows, schema=schema)
