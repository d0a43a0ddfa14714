"""Treatment columns of other programs under our names; the originals are kept beside them."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from phenolake.images.planes import Problem

#: Our column -> names it is recognised by, lower case, letters and digits only; best first.
_KNOWN: dict[str, tuple[str, ...]] = {
    "Metadata_Batch": ("batch", "week", "batchname"),
    "Metadata_Perturbation": (
        "perturbation", "compound", "treatment", "broadsample", "jcp2022", "pertiname", "commonname",
    ),
    "Metadata_Concentration": ("concentration", "dose", "mmolesperliter", "doseum"),
    "Metadata_ConcentrationUnit": ("concentrationunit", "doseunit", "unit"),
    "Metadata_ControlType": ("controltype", "control"),
    "Metadata_MOA": ("moa", "mechanismofaction", "moalist"),
    "Metadata_CellLine": ("cellline", "cellid", "celltype"),
    "Metadata_SMILES": ("smiles",),
}  # fmt: skip
_CONTROLS = {
    "negcon": "negcon",
    "negative": "negcon",
    "poscon": "poscon",
    "positive": "poscon",
    "trt": "trt",
    "empty": "empty",
}


def our_columns(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[Problem]]:
    """Rows with our treatment columns first; a column that SQL takes for one of ours is renamed."""
    # The screen is the one that the rows are imported into.
    rows = rows.rename({"Metadata_Screen": "Metadata_SourceScreen"}, strict=False)
    plain = {_plain(name): name for name in reversed(rows.columns) if name.startswith("Metadata_")}
    chosen = {
        ours: plain[word]
        for ours, words in _KNOWN.items()
        for word in reversed(words)
        if word in plain
    }
    given = rows.select(
        *(pl.col(theirs).alias(ours) for ours, theirs in chosen.items()),
        *(pl.repeat(None, pl.len()).alias(ours) for ours in _KNOWN if ours not in chosen),
    )
    twins = {ours.casefold() for ours in _KNOWN}
    kept = rows.drop([name for name in rows.columns if name.casefold() in twins])
    # pycytominer leaves the control type of treated wells empty.
    control = pl.col("Metadata_ControlType").cast(pl.String).str.to_lowercase()
    texts = [
        name for name in _KNOWN if name not in ("Metadata_Concentration", "Metadata_ControlType")
    ]
    given = given.with_columns(
        pl.col(texts).cast(pl.String),
        pl.col("Metadata_Concentration").cast(pl.Float64, strict=False),
        (
            control.replace_strict(_CONTROLS, default="trt", return_dtype=pl.String)
            if "Metadata_ControlType" in chosen
            else pl.lit(None, pl.String)
        ).alias("Metadata_ControlType"),
    )
    if "mmolesperliter" in _plain(chosen.get("Metadata_Concentration", "")):
        given = given.with_columns(pl.lit("mM").alias("Metadata_ConcentrationUnit"))
    given = given.drop("Metadata_SMILES") if "Metadata_SMILES" not in chosen else given
    return kept.hstack(given), _case_twins(rows, path)


def _case_twins(rows: pl.DataFrame, path: Path) -> list[Problem]:
    seen: dict[str, str] = {}
    problems = []
    for name in rows.columns:
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            problems.append(
                Problem(
                    "column_twice", "Rename one of the two in the source.",
                    uri=str(path), expected="column names that differ in more than case",
                    got=f"{first} and {name}",
                )
            )  # fmt: skip
    return problems


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.removeprefix("Metadata_").casefold())
