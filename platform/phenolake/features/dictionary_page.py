"""The tables of `docs/features.md`, written from the dictionary.

Run `python -m phenolake.features.dictionary_page docs/features.md` after changing a family.
"""

from __future__ import annotations

import sys
from pathlib import Path

from phenolake.features.families import COMPARISONS, FAMILIES
from phenolake.features.measurement import feature_names
from phenolake.features.naming import FeatureName, is_position

MARKER = "<!-- written by phenolake.features.dictionary_page -->"
_CHANNELS = ("CHANNEL", "Mito")
_COMPARTMENTS = ("Nuclei", "Cells", "Cytoplasm")


def dictionary_tables() -> str:
    """Markdown: a table per family, one row per measure, with formula, unit, source and position."""
    from phenolake.features.dictionary import feature_dictionary

    parts = []
    for family in (*FAMILIES, *COMPARISONS):
        names = feature_names(_CHANNELS, _COMPARTMENTS, [family])
        rows, seen = [], set()
        for entry in feature_dictionary(names, _CHANNELS).iter_rows(named=True):
            name = FeatureName.parse(entry["feature"], _CHANNELS)
            numbered = name.measure.isdecimal()
            kind = (name.family, "" if numbered else name.measure)
            if kind in seen:
                continue
            seen.add(kind)
            rows.append(
                f"| `{entry['feature']}` | {entry['meaning'].replace('|', '/')} | {entry['unit']} "
                f"| {entry['source']} | {'yes' if is_position(entry['feature']) else ''} |"
            )
        scales = getattr(FAMILIES.get(family), "scales", ())
        at = f" (scales by default: {', '.join(map(str, scales))})" if scales else ""
        parts.append(
            f"### {family}{at}\n\n{len(names)} columns for two channels and three compartments.\n\n"
            "| first column of its kind | formula in words | unit | source | position |\n"
            "| --- | --- | --- | --- | --- |\n" + "\n".join(rows)
        )
    return "\n\n".join(parts) + "\n"


def rewritten(page: str) -> str:
    """The page with its tables as they are now."""
    return page.split(MARKER)[0] + f"{MARKER}\n\n" + dictionary_tables()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
