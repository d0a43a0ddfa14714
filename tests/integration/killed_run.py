"""Run a plate and stop at one place in it, so that a test can kill the process there.

Usage: killed_run.py HOME SCREEN_FOLDER PLACE MARKER. The marker file appears when PLACE is reached.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import phenolake.features
import phenolake.lake.delta_writer as delta_writer
import phenolake.segmentation
from scenario import installation

#: A field in the middle of the plate.
FIELD = 3


def stop_at(marker: Path) -> None:
    """Say that the place is reached, and wait for the end."""
    marker.touch()
    time.sleep(600)


def stops_in_field(function: Callable[..., Any], marker: Path) -> Callable[..., Any]:
    """`function`, but the call for the field in the middle does not return."""
    calls = 0

    def stopping(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == FIELD:
            stop_at(marker)
        return function(*args, **options)

    return stopping


def stops_around_commit(marker: Path, table: str, before: bool) -> Callable[..., None]:
    """Delta's commit, but that of one table stops when its files are written or when it is done."""
    commit_once = delta_writer._commit_once

    def stopping(target: Any, *args: Any) -> None:
        if target.name == table and before:
            stop_at(marker)
        commit_once(target, *args)
        if target.name == table:
            stop_at(marker)

    return stopping


def main(home: Path, folder: Path, place: str, marker: Path) -> None:
    """Run the plate job; never ends if the place is on its way."""
    if place == "segmentation_masks":
        phenolake.segmentation.segment_many = stops_in_field(
            phenolake.segmentation.segment_many, marker
        )
    elif place == "single_cell_features":
        phenolake.features.measure = stops_in_field(phenolake.features.measure, marker)
    else:
        order, _, table = place.partition(" the commit of ")
        delta_writer._commit_once = stops_around_commit(marker, table, before=order == "before")
    with installation(home) as opened:
        screen = opened.add(folder)
        opened.run_plate(screen, "P1")


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((Path, Path, str, Path), sys.argv[1:], strict=True)))
