"""Gold table of dose-response curves."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.declare import Column, Layer, Table

PER_SCREEN = ("Metadata_Screen",)


def _estimate(name: str, meaning: str, unit: str = "") -> tuple[Column, ...]:
    ends = (("low", "lower"), ("high", "upper"))
    return (
        Column(name, pa.float64(), meaning, unit),
        *(
            Column(
                f"{name}_{end}",
                pa.float64(),
                f"{word} end of its 95 % interval; null where the data leave it open",
                unit,
            )
            for end, word in ends
        ),
    )


DOSE_RESPONSES = Table(
    "dose_responses",
    Layer.GOLD,
    grain="one row per compound, unit of dose and response: a four-parameter curve",
    key=(*PER_SCREEN, "Metadata_Perturbation", "Metadata_ConcentrationUnit", "response"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        keys.TREATMENT[0],
        keys.TREATMENT[2],
        keys.TREATMENT[5],
        Column(
            "response",
            pa.string(),
            "what was fitted: a profile column, `share of <class> (<model> <version>)`, or "
            "`profile distance (<correction>)` from the negative controls",
            nullable=False,
        ),
        Column("wells", pa.int64(), "treated wells with a value", "wells", nullable=False),
        Column(
            "control_wells",
            pa.int64(),
            "negative control wells of the same plates and groups, fitted as dose zero",
            "wells",
            nullable=False,
        ),
        Column("doses", pa.int64(), "doses above zero", nullable=False),
        Column("lowest_dose", pa.float64(), "lowest dose above zero"),
        Column("highest_dose", pa.float64(), "highest dose"),
        *_estimate("zero", "response without compound, mean over plates"),
        *_estimate("full", "response at an endless dose"),
        *_estimate("ec50", "dose of the half-maximal response, in Metadata_ConcentrationUnit"),
        *_estimate("hill", "slope, per decade of dose or step of an ordinal dose"),
        Column("r_squared", pa.float64(), "share of the variance within plates it explains"),
        Column("residual_sd", pa.float64(), "SD of wells about the curve"),
        Column(
            "activity_p",
            pa.float64(),
            "chance that wells which differ by noise alone follow some curve so well",
        ),
        Column("misfit_p", pa.float64(), "lack of fit of dose means, F test against replicates"),
        Column("misfit", pa.float64(), "distance of dose means from the curve, share of its span"),
        Column("no_activity", pa.bool_(), "activity_p is 0.01 or more"),
        Column("outside_tested_range", pa.bool_(), "active, and the EC50 is no tested dose"),
        Column(
            "poor_fit",
            pa.bool_(),
            "active, and r_squared below 0.5 or dose means off by more than 15 % and replicates allow",
        ),
        Column(
            "flag", pa.string(), "no_activity, poor_fit, outside_tested_range or ok", nullable=False
        ),
    ),
)
