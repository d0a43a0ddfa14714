"""A process that writes to a lake; started by the tests of concurrency and interruption.

Usage: writer_process.py LAKE PLATES TIMES [MOMENT]; it kills itself at MOMENT of its last write.
"""

from __future__ import annotations

import os
import signal
import sys

import polars as pl

from phenolake.lake import Lake, delta_writer
from phenolake.tables import WELL_PROFILES

ROWS = 50


def frame(value: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Metadata_Well": [f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(ROWS)],
            "Metadata_CellCount": [1] * ROWS,
            "Metadata_SiteCount": [1] * ROWS,
            "Cells_A": [value] * ROWS,
        }
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(uri: str, plates: str, times: str, moment: str = "") -> None:
    lake = Lake(uri)
    commit = delta_writer._commit_once
    for turn in range(int(times)):
        last = turn == int(times) - 1
        for plate in plates.split(","):
            value = float(os.getpid()) if not moment else float(turn)

            def rows(value=value, last=last):
                for part in frame(value).iter_slices(20):
                    yield part
                    if last and moment == "while streaming":
                        die()

            def deadly(*arguments, last=last):
                if last and moment == "before the commit":
                    die()
                commit(*arguments)
                if last and moment == "after the commit":
                    die()

            delta_writer._commit_once = deadly
            lake.write(
                WELL_PROFILES,
                rows(),
                {"Metadata_Screen": "S1", "Metadata_Plate": plate},
                run_id=str(os.getpid()),
            )
            print(turn, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
