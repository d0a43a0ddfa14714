"""The model card of a segmentation network: data, split, scores and how to train it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from phenolake.segmentation.learning.examples import PARTS, Example


def segmentation_card(
    title: str,
    facts: Mapping[str, Any],
    parts: Mapping[str, Sequence[Example]],
    scores: pl.DataFrame,
    weights_sha256: str,
    command: str,
) -> str:
    """Return a Markdown page on one trained network.

    Parameters
    ----------
    facts
        Plain values about data and training, one line each.
    parts
        The examples of each part.
    scores
        Of the test part; see `scores_by_condition`.
    command
        What trains the same weights again.
    """
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items())]
    lines += [f"- Weights SHA-256: `{weights_sha256}`", "", "## Split", ""]
    lines += ["| part | condition | images | objects |", "| --- | --- | --- | --- |"]
    lines += [f"| {part} | {row}" for part in PARTS for row in _condition_rows(parts[part])]
    lines += ["", "## Scores on the test part", "", "No image of it was trained on.", ""]
    lines += [
        "| condition | images | objects | IoU | F1 | AP | precision | recall |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['condition']} | {row['images']} | {row['objects']} | {row['threshold']} "
        f"| {row['f1']:.3f} | {row['ap']:.3f} | {row['precision']:.3f} | {row['recall']:.3f} |"
        for row in scores.iter_rows(named=True)
    ]
    lines += ["", "## Train it again", "", "```", command, "```", ""]
    return "\n".join(lines)


def _condition_rows(examples: Sequence[Example]) -> list[str]:
    rows = []
    for name in sorted({example.condition for example in examples}):
        chosen = [example for example in examples if example.condition == name]
        objects = sum(int(example.labels.max(initial=0)) for example in chosen)
        rows.append(f"{name} | {len(chosen)} | {objects} |")
    return rows
