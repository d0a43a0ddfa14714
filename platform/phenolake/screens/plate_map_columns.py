"""Which column of a plate map means what, and what its control words mean."""

from __future__ import annotations

import re
from pathlib import Path

from phenolake.errors import ConfigurationError
from phenolake.identity import Well
from phenolake.screens.config import PlateMapConfig

#: Our name -> column names it is recognised by, in lower case without spaces and underscores.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "well": ("well", "wellposition", "wellname", "wellid", "metadatawell", "colrow"),
    "row": ("row", "wellrow"),
    "column": ("column", "col", "wellcolumn", "wellcol"),
    "plate": ("plate", "platename", "barcode", "assayplatebarcode", "metadataplate"),
    "batch": ("batch", "metadatabatch"),
    "perturbation": (
        "perturbation",
        "compound",
        "treatment",
        "compoundname",
        "drug",
        "pertiname",
        "broadsample",
        "sirna",
        "gene",
    ),
    "concentration": (
        "concentration",
        "dose",
        "conc",
        "compoundconcentration",
        "drugconcentration",
        "mmolesperliter",
        "umolesperliter",
        "nmolesperliter",
    ),
    "unit": ("unit", "concentrationunit", "doseunit", "units"),
    "control": ("control", "controltype", "welltype", "metadatacontroltype", "perttype"),
    "group": ("group", "controlgroup"),
    "moa": ("moa", "mechanism", "mechanismofaction", "class"),
    "cell_line": ("cellline", "cellid", "celltype"),
    "smiles": ("smiles", "structure"),
}
#: Our name -> column of the `plate_map` table.
COLUMNS = {
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
_NEGATIVE = (
    "negcon neg nc negative negative_control neg_control neg_ctrl negctrl negativecontrol control ctrl "
    "dmso vehicle vehicle_control untreated mock ctl_vehicle ctl_untrt low_control"
)
_POSITIVE = (
    "poscon pos pc positive positive_control pos_control pos_ctrl posctrl positivecontrol poscon_cp "
    "poscon_diverse poscon_orf trt_poscon high_control"
)
_TREATED = "trt treated treatment sample compound test trt_cp drug"
_EMPTY = "empty blank no_cells nocells background media medium none_plated"
#: Control words in lower case with underscores -> control type.
CONTROL_WORDS: dict[str, str] = {
    **dict.fromkeys(_NEGATIVE.split(), "negcon"),
    **dict.fromkeys(_POSITIVE.split(), "poscon"),
    **dict.fromkeys(_TREATED.split(), "trt"),
    **dict.fromkeys(_EMPTY.split(), "empty"),
    "": "trt",
}
#: Treatments that make a well a control where the file has no column for it.
_CONTROL_TREATMENTS = {
    **dict.fromkeys(
        ("dmso", "vehicle", "untreated", "mock", "negcon", "negative_control"), "negcon"
    ),
    **dict.fromkeys(("empty", "blank", "no_cells"), "empty"),
}


def our_columns(columns: list[str], config: PlateMapConfig, path: Path) -> dict[str, str]:
    """Our name -> the file's column, as configured or recognised.

    Raises
    ------
    ConfigurationError
        If a configured name or column does not exist, or nothing names the well.
    """
    if unknown := set(config.columns) - set(SYNONYMS):
        raise ConfigurationError(
            f"plate_map.columns: unknown names {sorted(unknown)}; known: {', '.join(SYNONYMS)}"
        )
    if missing := [column for column in config.columns.values() if column not in columns]:
        raise ConfigurationError(f"{path}: no column {missing[0]!r}; it has {', '.join(columns)}")
    plain: dict[str, str] = {}
    for column in columns:
        plain.setdefault(_plain(column), column)
    # `Dose (uM)` and `conc_nM` mean `dose` and `conc`.
    without_units = {
        re.sub(r"([(\[].*[)\]]|[_\s][pnuµμm]?M)\s*$", "", column): column for column in columns
    }
    for name, column in without_units.items():
        plain.setdefault(_plain(name), column)
    for word in ("concentration", "dose", "conc"):
        for unit in ("pm", "nm", "um", "mm"):
            if f"{word}{unit}" in plain:
                plain.setdefault(word, plain[f"{word}{unit}"])
    ours = {
        name: next(plain[word] for word in words if word in plain)
        for name, words in SYNONYMS.items()
        if name not in config.columns and any(word in plain for word in words)
    }
    ours |= config.columns
    if "well" not in ours and not {"row", "column"} <= set(ours):
        raise ConfigurationError(
            f"{path}: no column names the well; it has {', '.join(columns)}. "
            "Add a column `well`, or map one under `plate_map.columns` in screen.yaml."
        )
    return ours


def well_name(text: str) -> str:
    """The well's name from `B3`, `B03`, `2,3` (row, column) or `03B`.

    Raises
    ------
    WellNameError
        If the text is none of these.
    """
    text = text.strip()
    if match := re.fullmatch(r"(\d{1,2})[,;:]\s*(\d{1,2})", text):
        return Well.checked(int(match[1]), int(match[2]), text).name
    if match := re.fullmatch(r"(\d{1,2})([A-Za-z]{1,2})", text):
        return Well.parse(f"{match[2]}{match[1]}").name
    return Well.parse(text).name


def well_of_row_and_column(row: str, column: str) -> str:
    """The well's name from its row (letters or a number) and column."""
    row, column = row.removesuffix(".0"), column.removesuffix(".0")
    return well_name(f"{row},{column}" if row.isdecimal() else f"{row}{column}")


def control_type(word: str) -> str | None:
    """Control type of a word in the control column; None for an unknown word."""
    return CONTROL_WORDS.get(re.sub(r"[\s\-]+", "_", word.strip().casefold()))


def control_by_treatment(perturbation: str | None) -> str:
    """Control type of a well by its treatment alone, as in `0.1% DMSO`."""
    plain = re.sub(r"^[\d.,]+\s*%\s*", "", (perturbation or "").strip()).casefold()
    return _CONTROL_TREATMENTS.get(re.sub(r"[\s\-]+", "_", plain), "trt")


def free_name(column: str) -> str:
    """Our name of a column we don't know."""
    clean = re.sub(r"\W+", "_", column).strip("_")
    return clean if clean.startswith("Metadata_") else f"Metadata_{clean or 'Column'}"


def _plain(column: str) -> str:
    return re.sub(r"[\s_\-]", "", column.casefold())
