"""Links in an inbox that are not followed, as rows of the quarantine while they are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import polars as pl

from phenolake import __version__
from phenolake.errors import LinkRefusedError, PhenolakeError
from phenolake.identity import PlateKey
from phenolake.images.planes import Problem, quarantine_rows
from phenolake.lake import Lake
from phenolake.screens.discover import SCREEN_FILE, plate_name
from phenolake.tables import QUARANTINE

#: Stage of the quarantine's rows: no asset refused the link, the watch on the inbox did.
STAGE = "inbox"


def keep_refused_links(
    lake: Lake,
    refused: Mapping[PlateKey, LinkRefusedError],
    screens: Collection[str] | None = None,
) -> int:
    """Make the quarantine hold a row for each refused link and none for others.

    Only what changed is written, so that this may be called again and again.

    Parameters
    ----------
    refused
        The error of each link, by the plate that it would be.
    screens
        Screens that were looked at; rows of others stay. Default: all.

    Returns
    -------
    int
        How many plates' rows changed.

    Raises
    ------
    LakeLocationError
        If the lake can't be written.
    """
    held = _held(lake)
    gone = {key for key in held.keys() - refused.keys() if screens is None or key.screen in screens}
    new = {key for key, error in refused.items() if held.get(key) != (error.link, error.target)}
    for key in sorted(gone | new):
        problems = [_problem(refused[key])] if key in refused else []
        lake.write(
            QUARANTINE,
            quarantine_rows(problems, key, STAGE, ""),
            {**key.where, "stage": STAGE},
            code_version=__version__,
        )
    return len(gone | new)


def refused_screens(errors: Iterable[PhenolakeError]) -> dict[PlateKey, LinkRefusedError]:
    """Refused links to whole screens, each as the plate that a folder of one plate would be."""
    refused = {}
    for error in errors:
        if isinstance(error, LinkRefusedError):
            link = Path(error.link)
            name = plate_name(link.parent.name if link.name == SCREEN_FILE else link.name)
            refused[PlateKey(name, name)] = error
    return refused


def _problem(error: LinkRefusedError) -> Problem:
    return Problem(
        "refused_link",
        error.advice,
        uri=error.link,
        expected="a folder, or a link into an allowed folder",
        got=error.target,
    )


def _held(lake: Lake) -> dict[PlateKey, tuple[str, str]]:
    """Link and target of each row that is there."""
    if not lake.exists(QUARANTINE.name):
        return {}
    rows: pl.DataFrame = lake.read(
        QUARANTINE.name,
        {"stage": STAGE},
        columns=["Metadata_Screen", "Metadata_Plate", "uri", "got"],
    )
    return {PlateKey(screen, plate): (uri, got) for screen, plate, uri, got in rows.iter_rows()}
