"""Which cells train a model and which judge it: by cell, well, plate or any other group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import LeakageError, TrainingDataError, UnknownNameError
from phenolake.identity import BATCH, OBJECT, PLATE, SCREEN, SITE, WELL
from phenolake.modeling.labels import TRAIN, VALIDATION, label_names

CELL = "cell"
_LEVELS = (SCREEN, PLATE, WELL, SITE, OBJECT)
_SEPARATOR = "\x1f"
DEFAULT_FRACTIONS = {TRAIN: 0.8, VALIDATION: 0.2}


@dataclass(frozen=True)
class SplitSummary:
    """How cells were divided: `by` which groups, the hash of the outcome and the cells per part.

    `held_out_sha256`: hash of which cells the scores are of; of folds these are all.
    """

    by: str
    seed: int
    sha256: str
    cells: dict[str, int]
    held_out_sha256: str = ""


def split_by(
    keys: pl.DataFrame,
    by: str = WELL,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    labels: Iterable[object] | None = None,
) -> np.ndarray:
    """Return the part of each row (`train` or `validation`); a group never spans two parts.

    Parameters
    ----------
    keys
        Key columns, one row per cell or well.
    by
        `cell`, `Metadata_Well`, `Metadata_Plate`, or any other column of `keys`. Wells are told
        apart by screen and plate, plates by screen, where those columns are present.
    fractions
        Part name to fraction of the groups; the first part takes what rounding leaves over.
        Every other part gets at least one group while the first keeps one.
    seed
        Another seed gives another split.
    labels
        Class of each row. Where every group has one class, each class is divided on its own, so
        that it is met in every part if it has groups enough.

    Notes
    -----
    Groups are ranked by the BLAKE2b hash of seed and key, so row order and machine don't matter.

    Raises
    ------
    UnknownNameError
        If `by` is no column.
    TrainingDataError
        If fractions are not positive with sum 1, or there are fewer groups than parts.
    """
    fractions = dict(fractions or DEFAULT_FRACTIONS)
    if min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise TrainingDataError(f"fractions must be above 0 and sum to 1, got {fractions}")
    rows = _grouped(keys, by).with_columns(stratum=_strata(keys, labels))
    groups = rows.group_by("group").agg(
        pl.col("stratum").first(), mixed=pl.col("stratum").n_unique() > 1
    )
    if len(groups) < len(fractions):
        raise TrainingDataError(
            f"split by {by}: {len(groups)} group(s) can't make {len(fractions)} parts; "
            "split by a finer key, or add plates"
        )
    if groups["mixed"].any():
        groups = groups.with_columns(stratum=pl.lit(""))
    tickets = [_ticket(seed, group) for group in groups["group"]]
    groups = groups.with_columns(ticket=pl.Series(tickets, dtype=pl.UInt64)).sort(
        "stratum", "ticket", "group"
    )
    counts = groups.group_by("stratum", maintain_order=True).len()["len"]
    parts = np.concatenate([_parts(count, fractions) for count in counts])
    assigned = groups.select("group", part=pl.Series(parts.tolist(), dtype=pl.String))
    return (
        rows.join(assigned, on="group", how="left", maintain_order="left")["part"]
        .to_numpy()
        .astype(str)
    )


def fold_numbers(
    keys: pl.DataFrame, by: str, folds: int, seed: int, labels: Iterable[object]
) -> np.ndarray:
    """Return the fold of each row, int (n,), 0 to `folds` - 1; a group is in one fold.

    Groups are dealt so that each class is spread over the folds as evenly as they allow.

    Raises
    ------
    UnknownNameError
        If `by` is no column.
    TrainingDataError
        If there are fewer than two folds, or fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups = _grouped(keys, by)["group"].to_numpy()
    count = len(np.unique(groups))
    if not 2 <= folds <= count:
        raise TrainingDataError(
            f"split by {by}: {count} group(s) can't make {folds} folds; folds are 2 to {count}"
        )
    numbers = np.empty(len(groups), dtype=np.int64)
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(dealt.split(groups, label_names(labels).to_numpy(), groups)):
        numbers[held] = number
    return numbers


def check_leakage(keys: pl.DataFrame, split: np.ndarray, by: str = WELL) -> None:
    """Refuse a split that puts rows of one group into several parts.

    Raises
    ------
    LeakageError
        Names the first groups that leak.
    """
    rows = _grouped(keys, by).with_columns(
        part=pl.Series(np.asarray(split).tolist(), dtype=pl.String)
    )
    leaking = rows.group_by("group").agg(pl.col("part").n_unique()).filter(pl.col("part") > 1)
    if len(leaking):
        raise LeakageError(
            by, [group.replace(_SEPARATOR, " ") for group in leaking["group"].sort()]
        )


def split_hash(keys: pl.DataFrame, split: np.ndarray) -> str:
    """Return the SHA-256 of which key is in which part; the order of rows doesn't matter."""
    return _hash(_grouped(keys, CELL), split)


def _hash(groups: pl.DataFrame, split: np.ndarray) -> str:
    rows = groups.with_columns(part=pl.Series(np.asarray(split).tolist(), dtype=pl.String))
    lines = rows.select(line=pl.concat_str("group", "part", separator=_SEPARATOR))["line"].sort()
    return hashlib.sha256("\n".join(lines.to_list()).encode()).hexdigest()


def summarize_split(keys: pl.DataFrame, split: np.ndarray, by: str, seed: int = 0) -> SplitSummary:
    """Return the record of a split that goes with a model; refuses one that leaks.

    Raises
    ------
    LeakageError
        If a group is in several parts.
    """
    check_leakage(keys, split, by)
    parts, counts = np.unique(split, return_counts=True)
    cells = _grouped(keys, CELL)
    held = np.asarray(split) != TRAIN
    return SplitSummary(
        by,
        seed,
        _hash(cells, split),
        dict(zip(parts.tolist(), counts.tolist(), strict=True)),
        _hash(cells.filter(pl.Series(held)), np.full(held.sum(), "held out")),
    )


def group_columns(keys: pl.DataFrame, by: str) -> list[str]:
    """Return the columns that name a group; none where cells are told apart by row number only."""
    if by == CELL:
        levels = [name for name in _LEVELS if name in keys.columns]
        # Fields have no object number; a site of theirs is as good as a cell.
        fields = SITE in levels and keys.select(levels).is_unique().all()
        return levels if OBJECT in levels or fields else []
    if by not in keys.columns:
        raise UnknownNameError("split key", by, [CELL, *keys.columns])
    if by == BATCH:
        return [name for name in (SCREEN, BATCH) if name in keys.columns]
    if by in _LEVELS:
        return [name for name in _LEVELS[: _LEVELS.index(by) + 1] if name in keys.columns]
    return [by]


def _grouped(keys: pl.DataFrame, by: str) -> pl.DataFrame:
    columns = group_columns(keys, by)
    if not columns:
        return pl.DataFrame(
            {"group": pl.Series(range(keys.height), dtype=pl.Int64).cast(pl.String)}
        )
    texts = [pl.col(name).cast(pl.String).fill_null("") for name in columns]
    return keys.select(group=pl.concat_str(texts, separator=_SEPARATOR))


def _strata(keys: pl.DataFrame, labels: Iterable[object] | None) -> pl.Series:
    if labels is None:
        return pl.Series([""] * keys.height, dtype=pl.String)
    return label_names(labels).fill_null("")


def _ticket(seed: int, group: str) -> int:
    digest = hashlib.blake2b(f"{seed}{_SEPARATOR}{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _parts(count: int, fractions: Mapping[str, float]) -> np.ndarray:
    """Names of the parts of `count` ranked groups; the first part is never left empty."""
    first, *others = fractions
    left, names = count, []
    for part in others:
        size = min(max(1, int(fractions[part] * count + 0.5)), left - 1)
        names += [part] * size
        left -= size
    return np.array(names + [first] * left)
