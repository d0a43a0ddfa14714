"""Profile tables of pycytominer and JUMP as rows of `well_profiles` or `normalized_profiles`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from phenolake.errors import ImportSourceError, WellNameError
from phenolake.identity import Well, checked_name
from phenolake.images.planes import Problem
from phenolake.importing.cells import SOURCE
from phenolake.importing.drift import drift_problems, usual_columns
from phenolake.importing.treatments import our_columns
from phenolake.tables import NORMALIZED_PROFILES, WELL_PROFILES, Table

_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
_COUNTS = ("Object_Count", "Count_Cells", "Cell_Count", "CellCount", "Count_Nuclei")
_NORMALIZED = re.compile(r"normali[sz]ed|feature_?select", re.IGNORECASE)
#: Fewer value columns than these are a table of results, not of profiles.
_FEWEST_FEATURES = 10
_NOT_IN_DELTA = re.compile(r"[ ,;{}()=\x00-\x1f]+")


@dataclass
class PlateOfProfiles:
    """One plate's profiles in our columns, and the faults of its file."""

    plate: str
    table: Table
    rows: pl.DataFrame
    source: Path
    faults: list[Problem] = field(default_factory=list)


def is_profile_table(path: Path) -> bool:
    """Tell by name and columns whether a file is a table of profiles with plate and well."""
    if not path.name.casefold().endswith(_SUFFIXES):
        return False
    try:
        names = _scan(path).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError, ImportSourceError):
        return False
    metadata = {_plain(name) for name in names if name.startswith("Metadata_")}
    features = sum(not name.startswith("Metadata_") for name in names)
    is_cells = "ImageNumber" in names or "objectnumber" in metadata
    return {"plate", "well"} <= metadata and features >= _FEWEST_FEATURES and not is_cells


def plates_of_profiles(paths: Sequence[Path], table: Table | None = None) -> list[PlateOfProfiles]:
    """Profiles by plate; a barcode that occurs in several batches or files is put after its batch.

    Without `table`, files whose name says normalized, or whose areas are not positive, go to
    `normalized_profiles` and the others to `well_profiles`.

    Raises
    ------
    ImportSourceError
        If a file can't be read.
    """
    found: list[PlateOfProfiles] = []
    for path in paths:
        rows, unusable = _plain_columns(_read(path), path)
        target = table or _target(path, rows)
        rows, faults = _in_our_columns(rows, path)
        faults = unusable + faults
        for (plate,), own in rows.group_by("Metadata_Plate", maintain_order=True):
            own, doubled = _one_row_per_well(own, path)
            if target is NORMALIZED_PROFILES:
                own = own.drop("Metadata_SiteCount").with_columns(
                    pl.lit(_label(path)).alias("Metadata_Normalization")
                )
            found.append(PlateOfProfiles(str(plate), target, own, path, [*faults, *doubled]))
            faults = []
    _report_drift(found)
    kept = _tell_apart(found)
    for item in kept:
        checked_name("plate", item.plate)
        item.rows = item.rows.with_columns(pl.lit(item.plate).alias("Metadata_Plate"))
    return kept


def _scan(path: Path) -> pl.LazyFrame:
    name = path.name.casefold()
    if name.endswith(".parquet"):
        return pl.scan_parquet(path)
    return pl.scan_csv(
        path, separator="\t" if ".tsv" in name else ",", infer_schema=False, n_rows=1
    )


def _read(path: Path) -> pl.DataFrame:
    name = path.name.casefold()
    try:
        if name.endswith(".parquet"):
            return pl.read_parquet(path)
        separator = "\t" if ".tsv" in name else ","
        # Text first: a plate named 001 stays 001, and every feature becomes a float.
        text = pl.read_csv(path, separator=separator, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ImportSourceError(path, f"can't be read: {str(error).splitlines()[0]}") from error
    features = [column for column in text.columns if not column.startswith("Metadata_")]
    return text.with_columns(_as_number(text[column]) for column in features)


def _plain_columns(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[Problem]]:
    """Texts of categories; values of several parts, or of bytes, are empty, with a problem each."""
    words = [
        name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Categorical | pl.Enum)
    ]
    unusable = [
        name for name, dtype in rows.schema.items() if dtype.is_nested() or dtype == pl.Binary
    ]
    rows = rows.with_columns(
        pl.col(words).cast(pl.String), *(pl.lit(None, pl.String).alias(name) for name in unusable)
    )
    # pandas writes the index as a column without a name; no table can hold one.
    rows = rows.drop("", strict=False)
    return rows, [
        Problem(
            "not_a_text", "Write the column as text or numbers; it is empty here.",
            uri=str(path), expected=f"texts or numbers in {name}", got="lists, structs or bytes",
        )
        for name in unusable
    ]  # fmt: skip


def _as_number(column: pl.Series) -> pl.Series:
    number = column.cast(pl.Float64, strict=False)
    return number if number.null_count() == column.null_count() else column


def _target(path: Path, rows: pl.DataFrame) -> Table:
    if _NORMALIZED.search(path.name):
        return NORMALIZED_PROFILES
    areas = rows.select(pl.col("^.*AreaShape_Area$")).cast(pl.Float64, strict=False)
    is_raw = areas.width == 0 or all(
        (column.drop_nulls().drop_nans() > 0).all() for column in areas
    )
    return WELL_PROFILES if is_raw else NORMALIZED_PROFILES


def _in_our_columns(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[Problem]]:
    faults: list[Problem] = []
    text = [
        name
        for name, dtype in rows.schema.items()
        if not name.startswith("Metadata_") and not dtype.is_numeric()
    ]
    rows = rows.rename({name: f"Metadata_{name}" for name in text}, strict=False)
    rows = rows.rename({name: _NOT_IN_DELTA.sub("_", name) for name in rows.columns})
    rows, more = our_columns(rows, path)
    faults += more
    counts = [f"Metadata_{name}" for name in _COUNTS if f"Metadata_{name}" in rows.columns]
    count = pl.col(counts[0]).cast(pl.Float64, strict=False) if counts else pl.lit(None)
    sites = pl.col("Metadata_Site_Count") if "Metadata_Site_Count" in rows.columns else pl.lit(None)
    rows = rows.with_columns(
        count.cast(pl.Int64, strict=False).alias("Metadata_CellCount"),
        sites.cast(pl.Int64, strict=False).alias("Metadata_SiteCount"),
        pl.lit(str(path)).alias(SOURCE),
        pl.col("Metadata_Plate").cast(pl.String),
    )
    names = rows["Metadata_Well"].cast(pl.String)
    wells = {text: _well(text) for text in names.drop_nulls().unique()}
    bad = sorted(text for text, well in wells.items() if well is None)
    for text_name in bad:
        faults.append(
            Problem(
                "not_a_well", "Correct the well's name; the row is left out.",
                uri=str(path), well=text_name, expected="a well name such as B03", got=text_name,
            )
        )  # fmt: skip
    good = {text: well for text, well in wells.items() if well is not None}
    rows = rows.with_columns(names.replace_strict(good, default=None, return_dtype=pl.String))
    return rows.filter(pl.col("Metadata_Well").is_not_null()), faults


def _one_row_per_well(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[Problem]]:
    doubled = rows.filter(pl.col("Metadata_Well").is_duplicated())["Metadata_Well"].unique().sort()
    problems = [
        Problem(
            "well_twice", "Keep one row per plate and well; the first was imported.",
            uri=str(path), well=well, expected="one row", got="several rows",
        )
        for well in doubled
    ]  # fmt: skip
    return rows.unique("Metadata_Well", keep="first", maintain_order=True), problems


def _report_drift(found: list[PlateOfProfiles]) -> None:
    for table in (WELL_PROFILES, NORMALIZED_PROFILES):
        by_file = {item.source: item for item in reversed(found) if item.table is table}
        features = {
            source: [name for name in item.rows.columns if not name.startswith("Metadata_")]
            for source, item in by_file.items()
        }
        usual = usual_columns(features.values())
        for source, item in by_file.items():
            item.faults += drift_problems(str(source), features[source], usual)


def _tell_apart(found: list[PlateOfProfiles]) -> list[PlateOfProfiles]:
    """One item per table and plate: normalizations stacked, batches of one barcode apart."""
    holders: dict[tuple[str, str], dict[str, list[PlateOfProfiles]]] = {}
    for item in found:
        batches = item.rows["Metadata_Batch"].cast(pl.String).drop_nulls().head(1).to_list()
        by_batch = holders.setdefault((item.table.name, item.plate), {})
        by_batch.setdefault(batches[0] if batches else "", []).append(item)
    kept = []
    for (_, plate), by_batch in holders.items():
        for batch, items in by_batch.items():
            first = _merged(items)
            kept.append(first)
            if len(by_batch) > 1:
                first.plate = f"{batch} {plate}".strip()
                first.faults.append(
                    Problem(
                        "plate_twice",
                        "Each is imported under its batch; give plates unique barcodes.",
                        uri=str(first.source),
                        expected=f"one plate {plate}",
                        got=f"{len(by_batch)} batches with it; this one is now {first.plate!r}",
                    )
                )
    return kept


def _merged(items: list[PlateOfProfiles]) -> PlateOfProfiles:
    first, *others = items
    for other in others:
        first.faults += other.faults
        if first.table is NORMALIZED_PROFILES and _label(other.source) != _label(first.source):
            first.rows = pl.concat([first.rows, other.rows], how="diagonal_relaxed")
        else:
            first.faults.append(
                Problem(
                    "plate_twice",
                    "Keep one file per plate; the first by path was imported.",
                    uri=str(other.source),
                    expected=f"one file with plate {first.plate}, which {first.source.name} is",
                    got="a second one",
                )
            )
    return first


def _label(path: Path) -> str:
    """Name of the normalization that a file's name tells, such as `normalized_feature_select`."""
    match = re.search(
        r"(?:normali[sz]ed|feature_?select)\w*", path.name.split(".")[0], re.IGNORECASE
    )
    return match[0].casefold() if match else "imported"


def _plain(name: str) -> str:
    return name.removeprefix("Metadata_").casefold()


def _well(text: str) -> str | None:
    try:
        return Well.parse(text).name
    except WellNameError:
        return None
