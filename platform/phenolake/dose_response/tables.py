"""Curves of every compound of a table of wells, for any of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from phenolake.dose_response.fit import Curve, fit_responses
from phenolake.dose_response.limits import CurveLimits
from phenolake.profiling.feature_matrix import key_columns

_COMPOUND = ("Metadata_Perturbation", "Metadata_ConcentrationUnit")
_DOSE = "Metadata_Concentration"
_CONTROL = "Metadata_ControlType"
_BLOCK = "block"

_INTERVALS = ("zero", "full", "ec50", "hill")
_SCHEMA: dict[str, type[pl.DataType]] = {
    "Metadata_Perturbation": pl.String,
    "Metadata_ConcentrationUnit": pl.String,
    "Metadata_MOA": pl.String,
    "response": pl.String,
    "wells": pl.Int64,
    "control_wells": pl.Int64,
    "doses": pl.Int64,
    "lowest_dose": pl.Float64,
    "highest_dose": pl.Float64,
    **{f"{name}{end}": pl.Float64 for name in _INTERVALS for end in ("", "_low", "_high")},
    "r_squared": pl.Float64,
    "residual_sd": pl.Float64,
    "activity_p": pl.Float64,
    "misfit_p": pl.Float64,
    "misfit": pl.Float64,
    "no_activity": pl.Boolean,
    "outside_tested_range": pl.Boolean,
    "poor_fit": pl.Boolean,
    "flag": pl.String,
}


def fit_curves(
    wells: pl.DataFrame | pl.LazyFrame,
    responses: str | Sequence[str],
    limits: CurveLimits | None = None,
) -> pl.DataFrame:
    """Four-parameter curves of each compound, a row per compound, unit of dose and response.

    Parameters
    ----------
    wells
        A row per well: `Metadata_Plate`, `Metadata_Perturbation`, `Metadata_Concentration`,
        `Metadata_ConcentrationUnit`, `Metadata_ControlType` and, where there, `Metadata_MOA` and
        `Metadata_ControlGroup`. Negative controls count as dose zero for the compounds of their
        plate (of their control group, where it has some). Positive controls are used for
        compounds without treated wells only, since their dose is one of another series.
    responses
        Columns to fit: features, class shares, distances.
    limits
        Limits of the flags; compounds with fewer doses are left out.

    Returns
    -------
    polars.DataFrame
        What was tested, the parameters `zero`, `full`, `ec50` and `hill` with `_low` and `_high`
        ends of their intervals (null where the data leave an end open), what `Curve` says of the
        fit, and `flag`. Doses of the unit `ordinal` count as logarithms already.

    Raises
    ------
    UnknownNameError
        If a column is missing.
    """
    frame = wells.lazy().collect()
    names = key_columns(frame, responses)
    limits = limits or CurveLimits()
    rows = []
    for key, members in _compounds(frame, limits):
        ordinal = key["Metadata_ConcentrationUnit"] == "ordinal"
        for part in _alike(members, names):
            for name, curve in _fitted(members, part, ordinal, limits):
                rows.append({**key, **_tested(members, name), **_row(name, curve)})
    return pl.DataFrame(rows, _SCHEMA, orient="row").sort(*_COMPOUND, "response")


def _compounds(
    frame: pl.DataFrame, limits: CurveLimits
) -> Iterator[tuple[dict[str, object], pl.DataFrame]]:
    """Key of each compound with enough doses, and its wells with their controls at dose 0."""
    for name in ("Metadata_ControlGroup", "Metadata_MOA"):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(name))
    kind = pl.col(_CONTROL).fill_null("trt")
    negative = frame.filter(kind == "negcon").with_columns(pl.lit(0.0).alias(_DOSE))
    group = pl.col("Metadata_ControlGroup").fill_null("")
    own = set(negative.select("Metadata_Plate", group).iter_rows())
    dosed = frame.filter(
        ~kind.is_in(["negcon", "empty"]), pl.col(_DOSE) >= 0, pl.col(_COMPOUND[0]).is_not_null()
    )
    for (compound, unit), rows in dosed.group_by(_COMPOUND, maintain_order=True):
        treated = rows.filter(kind != "poscon")
        treated = rows if treated.is_empty() else treated
        if treated.filter(pl.col(_DOSE) > 0)[_DOSE].n_unique() < limits.doses:
            continue
        parts = []
        for (plate, of_group), block in treated.group_by(["Metadata_Plate", group]):
            controls = negative.filter(pl.col("Metadata_Plate") == plate)
            chosen = of_group if (plate, of_group) in own else ""
            if chosen:
                controls = controls.filter(group == chosen)
            label = pl.lit(f"{plate}\n{chosen}").alias(_BLOCK)
            parts += [block.with_columns(label), controls.with_columns(label)]
        moa = treated["Metadata_MOA"].drop_nulls()
        key = dict(zip(_COMPOUND, (compound, unit), strict=True))
        key["Metadata_MOA"] = moa[0] if moa.len() else None
        # Two groups of a plate may share its controls: each well counts once.
        one = ["Metadata_Plate", "Metadata_Well", _BLOCK]
        yield key, pl.concat(parts).unique(one, maintain_order=True).sort(one)


def _alike(members: pl.DataFrame, names: Sequence[str]) -> list[list[str]]:
    """Responses that have values in the same wells, together."""
    parts: dict[bytes, list[str]] = {}
    for name in names:
        known = members[name].cast(pl.Float64).is_finite().fill_null(False)
        parts.setdefault(known.to_numpy().tobytes(), []).append(name)
    return list(parts.values())


def _fitted(
    members: pl.DataFrame, names: list[str], ordinal: bool, limits: CurveLimits
) -> Iterator[tuple[str, Curve]]:
    rows = _with_value(members, names[0])
    blocks = rows[_BLOCK].rank("dense").to_numpy().astype(np.int64) - 1
    tested = rows.filter(pl.col(_DOSE) > 0)[_DOSE].n_unique()
    if tested < limits.doses or rows.height - np.unique(blocks).size - 3 < 1:
        return
    values = rows.select(pl.col(names).cast(pl.Float64)).to_numpy().T
    doses = rows[_DOSE].to_numpy()
    curves = fit_responses(values, doses, blocks, ordinal=ordinal, limits=limits)
    yield from zip(names, curves, strict=True)


def _with_value(members: pl.DataFrame, name: str) -> pl.DataFrame:
    return members.filter(pl.col(name).cast(pl.Float64).is_finite())


def _tested(members: pl.DataFrame, name: str) -> dict[str, object]:
    rows = _with_value(members, name)
    controls = rows.filter(pl.col(_CONTROL) == "negcon")
    doses = rows.filter(pl.col(_DOSE) > 0)[_DOSE]
    return {
        "wells": rows.height - controls.height,
        "control_wells": controls.height,
        "doses": doses.n_unique(),
        "lowest_dose": doses.min(),
        "highest_dose": doses.max(),
    }


def _row(name: str, curve: Curve) -> dict[str, object]:
    values = asdict(curve)
    for parameter in _INTERVALS:
        low, high = values.pop(f"{parameter}_interval")
        values |= {f"{parameter}_low": low, f"{parameter}_high": high}
    numbers = {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }
    return {"response": name, **numbers, "flag": curve.flag}
