"""Doses as numbers in one unit: molar units become uM, other units are kept."""

from __future__ import annotations

import math
import re

#: Molar units -> how many uM one is.
TO_UM = {"pm": 1e-6, "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "m": 1e6}
_LONG_NAMES = {
    "picomolar": "pm",
    "nanomolar": "nm",
    "micromolar": "um",
    "millimolar": "mm",
    "molar": "m",
    "mmolesperliter": "mm",
    "umolesperliter": "um",
    "nmolesperliter": "nm",
    "mmol/l": "mm",
    "umol/l": "um",
    "µmol/l": "um",
    "nmol/l": "nm",
}
_DOSE = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].{0,20})?")
_HEADER = re.compile(r"(?:[(\[]\s*([^)\]]+?)\s*[)\]]|[_\s]([pnuµμm]?M))\s*$")


def molar_factor(unit: str | None) -> float | None:
    """How many uM a unit is; None if it is not molar.

    `mM` and `MM` are read alike: nobody doses in megamolar.
    """
    plain = (unit or "").strip().casefold()
    plain = _LONG_NAMES.get(re.sub(r"[\s_]", "", plain), plain)
    return TO_UM.get(plain)


def unit_of_header(column: str) -> str | None:
    """The unit in a column's name, as in `Dose (nM)`, `conc_uM` or `mmoles_per_liter`."""
    plain = re.sub(r"[\s_]", "", column.casefold())
    if plain in _LONG_NAMES:
        return {"mm": "mM", "um": "uM", "nm": "nM", "pm": "pM", "m": "M"}[_LONG_NAMES[plain]]
    match = _HEADER.search(column)
    if match is not None:
        return match[1] or match[2]
    # `concentrationum`: a lower-case ending, only after a word that names a dose.
    tail = re.fullmatch(r"(?:concentration|conc|dose)([pnum]m)", plain)
    return {"pm": "pM", "nm": "nM", "um": "uM", "mm": "mM"}[tail[1]] if tail else None


def parse_dose(text: str) -> tuple[float, str | None] | None:
    """Number and unit of texts such as `2.5`, `0,1` or `10 nM`; None for anything else."""
    match = _DOSE.fullmatch(text.strip())
    if match is None:
        return None
    number = float(match[1].replace(",", "."))
    return (number, match[2]) if math.isfinite(number) and number >= 0 else None


def normalized(number: float, unit: str | None) -> tuple[float, str | None]:
    """The dose in uM where its unit is molar, else as it is."""
    factor = molar_factor(unit)
    if factor is None:
        return number, unit.strip() if unit else None
    # Rounded to 12 digits, so that 0.1 mM and 100 uM are the same dose.
    return (number if factor == 1 else float(f"{number * factor:.12g}")), "uM"
