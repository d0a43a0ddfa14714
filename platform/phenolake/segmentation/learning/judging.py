"""How well a segmenter finds the objects of annotated examples, over all and by condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation.foreground import Plane
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.learning.examples import Example

#: Finds nuclei in a plane, float32 (y, x).
Finder = Callable[[Plane], Labels]

#: What all conditions together are called.
POOLED = "all"
_THRESHOLDS = (0.5, 0.7, 0.9)


def scores_by_condition(examples: Sequence[Example], find: Finder) -> pl.DataFrame:
    """Detection scores of a segmenter on examples, counts pooled over images.

    Returns
    -------
    polars.DataFrame
        A row per condition and IoU threshold (0.5, 0.7, 0.9), then the rows of `all`: `condition`,
        `images`, `objects` and the columns of `segmentation_scores`.
    """
    found = [find(example.brightness) for example in examples]
    conditions = sorted({example.condition for example in examples})
    tables = []
    for name in (*conditions, POOLED):
        chosen = [i for i, example in enumerate(examples) if name in (example.condition, POOLED)]
        truth = [examples[i].labels for i in chosen]
        scores = segmentation_scores(truth, [found[i] for i in chosen], _THRESHOLDS)
        tables.append(
            scores.select(
                pl.lit(name).alias("condition"),
                pl.lit(len(chosen)).alias("images"),
                pl.lit(sum(int(labels.max(initial=0)) for labels in truth)).alias("objects"),
                pl.all(),
            )
        )
    return pl.concat(tables)


def mean_average_precision(examples: Sequence[Example], find: Finder) -> float:
    """Mean over IoU 0.5, 0.7 and 0.9 of the pooled average precision; chooses the best round."""
    scores = scores_by_condition(examples, find).filter(pl.col("condition") == POOLED)
    return float(scores["ap"].fill_nan(0.0).mean() or 0.0)  # type: ignore[arg-type]
