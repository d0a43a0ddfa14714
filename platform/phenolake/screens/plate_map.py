"""Read a plate map: which treatment every well got, under our column names.

Doses become numbers, control words become `negcon`, `poscon`, `trt` or `empty`, and columns we
don't know are kept as `Metadata_<name>`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenolake.errors import ConfigurationError, EmptyFolderError, WellNameError
from phenolake.identity import PlateKey, Well, row_number
from phenolake.images.planes import Problem
from phenolake.screens.config import PlateMapConfig, ScreenConfig
from phenolake.screens.discover import Screen, inside
from phenolake.screens.plate_map_columns import (
    COLUMNS,
    control_by_treatment,
    control_type,
    free_name,
    our_columns,
    well_name,
    well_of_row_and_column,
)
from phenolake.screens.plate_map_doses import normalized, parse_dose, unit_of_header
from phenolake.screens.plate_map_files import (
    LoadedMap,
    find_assay_layout,
    find_plate_map,
    load_plate_map,
)

_ROW_RANGE = re.compile(r"([A-Za-z]{1,2})(?:-([A-Za-z]{1,2}))?")
ORIGINAL_DOSE = "Metadata_ConcentrationOriginal"


@dataclass(frozen=True)
class PlateMap:
    """Rows of the `plate_map` table for one plate, and what was refused."""

    rows: pl.DataFrame
    problems: list[Problem]


def read_plate_map(screen: Screen, key: PlateKey, imaged_wells: Collection[str]) -> PlateMap:
    """The treatments of one plate, one row per well that has images.

    The file is the one `plate_map.file` names; if that is not there, JUMP's barcode file, a file
    named as a plate map or layout, or Harmony's assay layout is looked for. Rows for wells without
    images, and images of wells without a row, become problems; such wells keep a row without
    treatment, so that nothing is lost. Without a plate map every well is `trt`.

    Raises
    ------
    ConfigurationError
        If the file can't be read, or lacks the columns that name a well.
    """
    config = screen.config
    path = _plate_map_file(screen, key)
    problems: list[Problem] = []
    if path is not None:
        listed = _listed_wells(load_plate_map(path, key.plate), config.plate_map, key, problems)
    else:
        problems.append(
            Problem(
                "no_plate_map",
                "Put a CSV with columns well and perturbation beside screen.yaml.",
                uri=str(screen.folder / config.plate_map.file),
                expected="a plate map",
                got="no such file",
            )
        )
        listed = pl.DataFrame(schema={"Metadata_Well": pl.String})
    problems.extend(_differences(listed, set(imaged_wells), path))
    wells = pl.DataFrame(
        {"Metadata_Well": sorted(imaged_wells)}, schema={"Metadata_Well": pl.String}
    )
    rows = wells.join(listed, on="Metadata_Well", how="left", maintain_order="left")
    return PlateMap(_completed(rows, config, key), problems)


def _plate_map_file(screen: Screen, key: PlateKey) -> Path | None:
    named = inside(screen.folder, screen.config.plate_map.file)
    if named.is_file():
        return named
    if "file" in screen.config.plate_map.model_fields_set:
        return None
    if (found := find_plate_map(screen.folder, key.plate)) is not None:
        return found
    with suppress(EmptyFolderError):
        return find_assay_layout(screen.plate(key.plate).folder)
    return None


def _listed_wells(
    loaded: LoadedMap, config: PlateMapConfig, key: PlateKey, problems: list[Problem]
) -> pl.DataFrame:
    """The file's rows for this plate, with our column names, one per well."""
    table, path = loaded.table, loaded.path
    ours = our_columns(table.columns, config, path)
    if "plate" in ours and not loaded.is_for_one_plate:
        table = table.filter(pl.col(ours["plate"]) == key.plate)
    values = {"Metadata_Well": _wells(table, ours, path, problems)}
    for name, column in COLUMNS.items():
        if name in ours:
            values[column] = table[ours[name]].replace("", None)
    taken = set(ours.values())
    for column in table.columns:
        if column not in taken:
            values[free_name(column)] = table[column].replace("", None)
    for column, value in loaded.extra.items():
        values.setdefault(free_name(column), pl.Series([value] * table.height, dtype=pl.String))
    listed = pl.DataFrame(values).filter(pl.col("Metadata_Well").is_not_null())
    listed = _with_solvent_controls(_with_rows(listed, config))
    listed = _with_doses(listed, config, ours.get("concentration"), path, problems)
    return _unique_wells(_with_controls(listed, config, path, problems), path, problems)


def _wells(
    table: pl.DataFrame, ours: dict[str, str], path: Path, problems: list[Problem]
) -> pl.Series:
    """Canonical well names; null for a text that is none, with a problem."""
    names: list[str | None] = []
    if "well" in ours:
        texts = table[ours["well"]].to_list()
    else:
        texts = [
            f"{row} {column}"
            for row, column in table.select(ours["row"], ours["column"]).iter_rows()
        ]
    for text in texts:
        try:
            names.append(
                well_name(text) if "well" in ours else well_of_row_and_column(*text.split(" ", 1))
            )
        except WellNameError as error:
            names.append(None)
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
    return pl.Series(names, dtype=pl.String)


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


def _with_solvent_controls(listed: pl.DataFrame) -> pl.DataFrame:
    """Wells that JUMP's maps give a solvent and no compound are treated with the solvent."""
    if not {"Metadata_solvent", "Metadata_Perturbation"} <= set(listed.columns):
        return listed
    return listed.with_columns(pl.coalesce("Metadata_Perturbation", "Metadata_solvent"))


def _with_doses(
    listed: pl.DataFrame,
    config: PlateMapConfig,
    column: str | None,
    path: Path,
    problems: list[Problem],
) -> pl.DataFrame:
    """Doses as numbers, molar ones in uM; the file's text is kept where it says it otherwise."""
    if "Metadata_Concentration" not in listed.columns:
        return listed
    if "Metadata_ConcentrationUnit" not in listed.columns:
        listed = listed.with_columns(pl.lit(None, pl.String).alias("Metadata_ConcentrationUnit"))
    usual = config.unit or (unit_of_header(column) if column else None)
    numbers: list[float | None] = []
    units: list[str | None] = []
    originals: list[str | None] = []
    wanted = ("Metadata_Well", "Metadata_Concentration", "Metadata_ConcentrationUnit")
    for well, text, unit in listed.select(wanted).iter_rows():
        parsed = parse_dose(text) if text else None
        if text and parsed is None:
            problems.append(
                Problem(
                    "bad_concentration",
                    "Write the dose as a plain number.",
                    uri=str(path),
                    well=well,
                    expected="a number",
                    got=text,
                )
            )
        number, own = parsed or (None, None)
        said = own or unit or usual
        dose, canonical = (None, unit) if number is None else normalized(number, said)
        numbers.append(dose)
        units.append(canonical)
        originals.append(
            None if number is None else " ".join(filter(None, (text, None if own else said)))
        )
    is_changed = any(
        number is not None
        and original not in (f"{number:g}", f"{number:g} {unit}", f"{number}", f"{number} {unit}")
        for number, unit, original in zip(numbers, units, originals, strict=True)
    )
    listed = listed.with_columns(
        pl.Series("Metadata_Concentration", numbers, dtype=pl.Float64),
        pl.Series("Metadata_ConcentrationUnit", units, dtype=pl.String),
    )
    return (
        listed.with_columns(pl.Series(ORIGINAL_DOSE, originals, dtype=pl.String))
        if is_changed
        else listed
    )


def _with_controls(
    listed: pl.DataFrame, config: PlateMapConfig, path: Path, problems: list[Problem]
) -> pl.DataFrame:
    """Control types from the control column, or else from the treatment's name."""
    if "Metadata_ControlType" not in listed.columns:
        if "Metadata_Perturbation" not in listed.columns or config.negative_control:
            return listed
        types = [control_by_treatment(name) for name in listed["Metadata_Perturbation"]]
        return listed.with_columns(pl.Series("Metadata_ControlType", types, dtype=pl.String))
    own = {word.casefold(): kind for word, kind in config.controls.items()}
    given = listed["Metadata_ControlType"].fill_null("")
    found = [own.get(text.casefold()) or control_type(text) for text in given]
    problems.extend(
        Problem(
            "unknown_control_type",
            "Map it under `plate_map.controls` in screen.yaml.",
            uri=str(path),
            well=well,
            expected="negcon, poscon, trt or empty",
            got=text,
        )
        for well, text, control in zip(listed["Metadata_Well"], given, found, strict=True)
        if control is None
    )
    return listed.with_columns(pl.Series("Metadata_ControlType", found, dtype=pl.String))


def _unique_wells(listed: pl.DataFrame, path: Path, problems: list[Problem]) -> pl.DataFrame:
    doubled = (
        listed.filter(pl.col("Metadata_Well").is_duplicated())["Metadata_Well"].unique().sort()
    )
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

    for column in COLUMNS.values():
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
        rows = rows.with_columns(
            pl.col("Metadata_ConcentrationUnit").fill_null(config.plate_map.unit)
        )
    declared = [name for name in PLATE_MAP.column_names if name in rows.columns]
    free = [name for name in rows.columns if name not in declared]
    return rows.select(*declared, *sorted(free))
