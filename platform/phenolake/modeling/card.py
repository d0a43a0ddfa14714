"""The model card: what a model is, what it saw and how well it did, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from phenolake.modeling.encoder import Encoder
from phenolake.modeling.model_parts import Model
from phenolake.modeling.scores import ClassificationScores
from phenolake.modeling.splits import SplitSummary


def model_card(
    title: str,
    model: Model | Encoder,
    scores: ClassificationScores,
    split: SplitSummary,
    data_versions: Mapping[str, int],
    weights_sha256: str,
    tables: Mapping[str, pl.DataFrame] | None = None,
) -> str:
    """Return a Markdown page on one trained model; scores are those of the held-out cells."""
    cells = ", ".join(f"{count} {part}" for part, count in split.cells.items())
    versions = (
        ", ".join(f"{table} v{version}" for table, version in data_versions.items())
        or "not recorded"
    )
    facts = [
        f"- Kind: {model.kind}; classes: {', '.join(scores.classes)}",
        f"- Cells: {cells}; split by {split.by}, seed {split.seed}",
        f"- Data: {versions}",
        f"- Weights SHA-256: `{weights_sha256}`",
    ]
    if isinstance(model, Encoder):
        facts.insert(1, "- Names no classes: scores are those of the nearest training cells")
    summary = [f"| {name} | {value:.4f} |" for name, value in scores.metrics.items()]
    rows = [
        f"| {' | '.join([label, *map(_text, measures), str(cells)])} |"
        for label, *measures, cells in scores.per_class.iter_rows()
    ]
    lines = [
        f"# {title}",
        "",
        *facts,
        "",
        "## Validation",
        "",
        "| metric | value |",
        "| --- | --- |",
        *summary,
    ]
    lines += [
        "",
        "| class | precision | recall | F1 | cells |",
        "| --- | --- | --- | --- | --- |",
        *rows,
    ]
    for name, table in (tables or {}).items():
        lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", *_markdown(table)]
    lines += ["", "## Limits", "", _limits(split.by)]
    return "\n".join(lines) + "\n"


def _limits(by: str) -> str:
    if by == "cell":
        return (
            "Cells of one well are in both parts, so these scores say little about new wells, "
            "plates or laboratories."
        )
    return (
        f"Scores hold for new values of {by} in data like this; "
        "other assays and microscopes were not tried."
    )


def _markdown(table: pl.DataFrame) -> list[str]:
    rows = [
        [_text(value) if isinstance(value, float) else str(value) for value in row]
        for row in table.iter_rows()
    ]
    lines = [table.columns, ["---"] * table.width, *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
