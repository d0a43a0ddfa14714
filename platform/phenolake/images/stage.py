"""Tell a plate's format from the stage positions of its wells."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import fmean, median

from phenolake.images.planes import Plane

#: Distance of neighbouring wells in um -> wells, ANSI/SLAS 4-2004 and common larger wells.
PITCHES_UM = {2250: 1536, 4500: 384, 9000: 96, 13000: 48, 19300: 24, 26000: 12, 39120: 6}
_TOLERANCE = 0.05


def wells_by_pitch(planes: Iterable[Plane]) -> int | None:
    """The plate format whose well distance the columns, or else the rows, of a plate show.

    None where positions are absent, count from the well's centre, or fit no format.
    """
    xs: dict[int, list[float]] = {}
    ys: dict[int, list[float]] = {}
    for plane in planes:
        if plane.stage_x_um is not None and plane.stage_y_um is not None:
            xs.setdefault(plane.well.column, []).append(plane.stage_x_um)
            ys.setdefault(plane.well.row, []).append(plane.stage_y_um)
    return _format(xs) or _format(ys)


def _format(positions: dict[int, list[float]]) -> int | None:
    if len(positions) < 2:
        return None
    lines = sorted((line, fmean(values)) for line, values in positions.items())
    pitch = median(
        abs(after - before) / (following - line)
        for (line, before), (following, after) in pairwise(lines)
    )
    return next(
        (wells for known, wells in PITCHES_UM.items() if abs(pitch - known) <= _TOLERANCE * known),
        None,
    )
