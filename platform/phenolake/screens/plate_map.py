"""Read a plate map: which treatment every well got, under our column names.

Doses become numbers, control words become `negcon`, `poscon`, `trt` or `empty`, and columns we
don't know are kept as `Metadata_<name>`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenolake.errors import ConfigurationError, WellNameError
from phenolake.identity import PlateKey, Well, row_number
from phenolake.images.planes import Problem
from phenolake.screens.config import PlateMapConfig, ScreenConfig
from phenolake.screens.discover import Screen, inside

#: Our name -> column names it is recognised by, in lower case without spaces and underscores.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "well": ("well", "wellposition", "wellname", "wellid", "metadatawell"),
    "row": ("row", "wellrow"),
    "column": ("column", "col", "wellcolumn"),
    "plate": ("plate", "platename", "barcode", "assayplatebarcode", "metadataplate"),
    "batch": ("batch", "metadatabatch"),
    "perturbation": ("perturbation", "compound", "treatment", "compoundname", "drug", "broadsample"),
    "concentration": ("concentration", "dose", "conc", "concentrationum", "doseum", "mmolesperliter"),
    "unit": ("unit", "concentrationunit", "doseunit"),
    "control": ("control", "controltype", "welltype", "metadatacontroltype"),
    "group": ("group", "controlgroup"),
    "moa": ("moa", "mechanism", "mechanismofaction", "class"),
    "cell_line": ("cellline", "cellid", "celltype"),
    "smiles": ("smiles", "structure"),
}
_COLUMNS = {
    "batch": "Metadata_Batch",
    "perturbation": "Metadata_Perturbation",
    "concentration": "Metadata_Concentration",
    "unit": "Metadata_ConcentrationUnit",
    "control": "Metadata_ControlType",
    "group": "Metadata_ControlGroup",
    "moa": "Metadata_MOA",
    "cell_line": "Metadata_CellLine",
    "smiles": "Metadata_SMILES",
}
_CONTROL_WORDS = {
    "negcon": "negcon",
    "negative": "negcon",
    "negative_control": "negcon",
    "control": "negcon",
    "dmso": "negcon",
    "poscon": "poscon",
    "positive": "poscon",
    "positive_control": "poscon",
    "trt": "trt",
    "treated": "trt",
    "sample": "trt",
    "empty": "empty",
    "": "trt",
}
_ROW_RANGE = re.compile(r"([A-Za-z]{1,2})(?:-([A-Za-z]{1,2}))?")


@dataclass(frozen=True)
class PlateMap:
    """Rows of the `plate_map` table for one plate, and what was refused."""

    rows: pl.DataFrame
    problems: list[Problem]


def read_plate_map(screen: Screen, key: PlateKey, imaged_wells: Collection[str]) -> PlateMap:
    """The treatments of one plate, one row per well that has images.

    Rows for wells without images, and images of wells without a row, become problems; such wells
    keep a row without treatment, so that nothing is lost. Without a plate map file every well is
    `trt`.

    Raises
    ------
    ConfigurationError
        If the file can't be read as CSV, or lacks the columns that name a well.
    """
    config = screen.config
    path = inside(screen.folder, config.plate_map.file)
    problems: list[Problem] = []
    if path.exists():
        listed = _listed_wells(path, config.plate_map, key, problems)
    else:
        problems.append(
            Problem(
                "no_plate_map",
                "Put a CSV with columns well and perturbation beside screen.yaml.",
                uri=str(path),
                expected="a plate map",
                got="no such file",
            )
        )
        listed = pl.DataFrame(schema={"Metadata_Well": pl.String})
    problems.extend(_differences(listed, set(imaged_wells), path if path.exists() else None))
    wells = pl.DataFrame({"Metadata_Well": sorted(imaged_wells)}, schema={"Metadata_Well": pl.String})
    rows = wells.join(listed, on="Metadata_Well", how="left", maintain_order="left")
    return PlateMap(_completed(rows, config, key), problems)


def _listed_wells(
    path: Path, config: PlateMapConfig, key: PlateKey, problems: list[Problem]
) -> pl.DataFrame:
    """The file's rows for this plate, with our column names, one per well."""
    table = _read_csv(path)
    ours = _our_columns(table.columns, config, path)
    if "plate" in ours:
        table = table.filter(pl.col(ours["plate"]) == key.plate)
    wells: list[str | None] = []
    for record in table.iter_rows(named=True):
        text = record[ours["well"]] if "well" in ours else f"{record[ours['row']]}{record[ours['column']]}"
        try:
            wells.append(_well_name(text or ""))
        except WellNameError as error:
            wells.append(None)
            problems.append(
                Problem(
                    "bad_well_name",
                    "Correct the well in the plate map.",
                    uri=str(path),
                    well=text,
                    expected="a well such as B03",
                    got=str(error),
                )
            )
    values = {"Metadata_Well": pl.Series(wells, dtype=pl.String)}
    for name, column in _COLUMNS.items():
        if name in ours:
            values[column] = table[ours[name]].replace("", None)
    taken = set(ours.values())
    for column in table.columns:
        if column not in taken:
            values[_free_name(column)] = table[column].replace("", None)
    listed = pl.DataFrame(values).filter(pl.col("Metadata_Well").is_not_null())
    listed = _with_rows(listed, config)
    listed = _with_numbers(listed, config, path, problems)
    return _unique_wells(listed, path, problems)


def _read_csv(path: Path) -> pl.DataFrame:
    separator = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    try:
        table = pl.read_csv(path, separator=separator, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ConfigurationError(f"{path}: not readable as a CSV plate map: {error}") from error
    return table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns}).with_columns(
        pl.all().str.strip_chars().fill_null("")
    )


def _our_columns(columns: list[str], config: PlateMapConfig, path: Path) -> dict[str, str]:
    if unknown := set(config.columns) - set(_SYNONYMS):
        raise ConfigurationError(
            f"plate_map.columns: unknown names {sorted(unknown)}; known: {', '.join(_SYNONYMS)}"
        )
    if missing := [column for column in config.columns.values() if column not in columns]:
        raise ConfigurationError(f"{path}: no column {missing[0]!r}; it has {', '.join(columns)}")
    plain = {re.sub(r"[\s_\-]", "", column.casefold()): column for column in columns}
    ours = {
        name: next(plain[word] for word in words if word in plain)
        for name, words in _SYNONYMS.items()
        if name not in config.columns and any(word in plain for word in words)
    }
    ours |= config.columns
    if "well" not in ours and not {"row", "column"} <= set(ours):
        raise ConfigurationError(
            f"{path}: no column names the well; it has {', '.join(columns)}. "
            "Add a column `well`, or map one under `plate_map.columns` in screen.yaml."
        )
    return ours


def _well_name(text: str) -> str:
    if match := re.fullmatch(r"(\d{1,2})[,;:]\s*(\d{1,2})", text):  # row, column as numbers
        return Well.checked(int(match[1]), int(match[2]), text).name
    return Well.parse(text).name


def _free_name(column: str) -> str:
    clean = re.sub(r"\W+", "_", column).strip("_")
    return clean if clean.startswith("Metadata_") else f"Metadata_{clean}"


def _with_rows(listed: pl.DataFrame, config: PlateMapConfig) -> pl.DataFrame:
    """Perturbation and control group of whole plate rows, as `rows` in screen.yaml says."""
    if not config.rows:
        return listed
    names: dict[int, str] = {}
    for text, perturbation in config.rows.items():
        match = _ROW_RANGE.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"plate_map.rows: {text!r} is no row range such as A-D")
        first = row_number(match[1])
        for row in range(first, row_number(match[2] or match[1]) + 1):
            names[row] = perturbation
    by_row = pl.Series(
        [names.get(Well.parse(well).row) for well in listed["Metadata_Well"]], dtype=pl.String
    )
    return listed.with_columns(
        by_row.alias("Metadata_Perturbation"), by_row.alias("Metadata_ControlGroup")
    )


def _with_numbers(
    listed: pl.DataFrame, config: PlateMapConfig, path: Path, problems: list[Problem]
) -> pl.DataFrame:
    """Doses as numbers and control words as control types; other texts become problems."""
    if "Metadata_Concentration" in listed.columns:
        numbers = listed["Metadata_Concentration"].cast(pl.Float64, strict=False)
        bad = listed.filter(numbers.is_null() & listed["Metadata_Concentration"].is_not_null())
        problems.extend(
            Problem(
                "bad_concentration",
                "Write the dose as a plain number.",
                uri=str(path),
                well=well,
                expected="a number",
                got=text,
            )
            for well, text in bad.select("Metadata_Well", "Metadata_Concentration").iter_rows()
        )
        listed = listed.with_columns(numbers)
    if "Metadata_ControlType" in listed.columns:
        words = {**_CONTROL_WORDS, **{k.casefold(): v for k, v in config.controls.items()}}
        given = listed["Metadata_ControlType"].fill_null("")
        types = [words.get(text.casefold()) for text in given]
        problems.extend(
            Problem(
                "unknown_control_type",
                "Map it under `plate_map.controls` in screen.yaml.",
                uri=str(path),
                well=well,
                expected="negcon, poscon, trt or empty",
                got=text,
            )
            for well, text, control in zip(listed["Metadata_Well"], given, types, strict=True)
            if control is None
        )
        listed = listed.with_columns(pl.Series("Metadata_ControlType", types, dtype=pl.String))
    return listed


def _unique_wells(listed: pl.DataFrame, path: Path, problems: list[Problem]) -> pl.DataFrame:
    doubled = listed.filter(pl.col("Metadata_Well").is_duplicated())["Metadata_Well"].unique().sort()
    problems.extend(
        Problem(
            "well_listed_twice",
            "Keep one row per plate and well; the first was used.",
            uri=str(path),
            well=well,
            expected="one row",
            got="several rows",
        )
        for well in doubled
    )
    return listed.unique("Metadata_Well", keep="first", maintain_order=True)


def _differences(listed: pl.DataFrame, imaged: set[str], path: Path | None) -> list[Problem]:
    if path is None:
        return []
    mapped = set(listed["Metadata_Well"])
    return [
        Problem(
            "well_without_image",
            "Check that the well was imaged; nothing was measured for it.",
            uri=str(path),
            well=well,
            expected="images of a well in the plate map",
            got="no image",
        )
        for well in sorted(mapped - imaged)
    ] + [
        Problem(
            "well_without_plate_map",
            "Add the well to the plate map; it is measured without a treatment until then.",
            uri=str(path),
            well=well,
            expected="a row in the plate map",
            got="none",
        )
        for well in sorted(imaged - mapped)
    ]


def _completed(rows: pl.DataFrame, config: ScreenConfig, key: PlateKey) -> pl.DataFrame:
    """All declared columns, control types by `negative_control`, and the plate's keys."""
    from phenolake.tables import PLATE_MAP

    for column in _COLUMNS.values():
        if column not in rows.columns:
            rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(column))
    negative = config.plate_map.negative_control
    is_negative = pl.col("Metadata_Perturbation") == negative if negative else pl.lit(False)
    rows = rows.with_columns(
        pl.lit(key.screen).alias("Metadata_Screen"),
        pl.lit(key.plate).alias("Metadata_Plate"),
        pl.col("Metadata_Batch").fill_null(pl.lit(config.batch or key.plate)),
        pl.col("Metadata_Concentration").cast(pl.Float64),
        pl.when(is_negative)
        .then(pl.lit("negcon"))
        .otherwise(pl.col("Metadata_ControlType").fill_null("trt"))
        .alias("Metadata_ControlType"),
    )
    if config.plate_map.unit is not None:
        rows = rows.with_columns(pl.col("Metadata_ConcentrationUnit").fill_null(config.plate_map.unit))
    declared = [name for name in PLATE_MAP.column_names if name in rows.columns]
    free = [name for name in rows.columns if name not in declared]
    return rows.select(*declared, *sorted(free))
