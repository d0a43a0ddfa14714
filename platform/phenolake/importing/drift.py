"""Schema drift: which tables lack or add columns, compared with what most tables have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from phenolake.images.planes import Problem

_SHOWN = 5
_ADVICE = (
    "Columns were merged by name; missing ones are null. Export with one pipeline to avoid it."
)


def usual_columns(column_sets: Iterable[Iterable[str]]) -> frozenset[str]:
    """The column set that most tables have; of equally frequent ones the largest."""
    counts = Counter(frozenset(columns) for columns in column_sets)
    if not counts:
        return frozenset()
    return max(counts, key=lambda columns: (counts[columns], len(columns), sorted(columns)))


def drift_problems(
    uri: str,
    columns: Iterable[str],
    usual: frozenset[str],
    well: str | None = None,
    site: int | None = None,
) -> list[Problem]:
    """Missing and extra columns of one table, one problem each."""
    columns = frozenset(columns)
    found = []
    for kind, names in (("missing_columns", usual - columns), ("extra_columns", columns - usual)):
        if names:
            shown = ", ".join(sorted(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            word = "lacks" if kind == "missing_columns" else "adds"
            found.append(
                Problem(
                    kind,
                    _ADVICE,
                    uri=uri,
                    well=well,
                    site=site,
                    expected=f"the {len(usual)} columns that most tables have",
                    got=f"{len(columns)} columns; {word} {len(names)}: {shown}",
                )
            )
    return found
