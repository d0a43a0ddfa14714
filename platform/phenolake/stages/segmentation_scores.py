"""Run segmentation methods on annotated images and score each, per condition and over all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenolake.errors import PhenolakeError, UnknownNameError
from phenolake.evaluation.matching import Overlaps, find_overlaps
from phenolake.evaluation.segmentation import THRESHOLDS, pooled_scores
from phenolake.images.planes import Problem
from phenolake.importing.annotated import AnnotatedImage
from phenolake.segmentation import METHODS, resolve_method, segment
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.methods import segmenter

#: Condition of the row over all images.
OVERALL = "all images"

#: Nuclei of one image (channel, y, x): what a method is to the comparison.
FindNuclei = Callable[[NDArray], Labels]


@dataclass(frozen=True)
class Disagreement:
    """The image on which a method is worst, for a picture."""

    name: str
    f1: float
    plane: NDArray
    truth: Labels
    predicted: Labels


@dataclass
class Comparison:
    """Scores of all methods on the same images; see `compare_methods`."""

    scores: pl.DataFrame
    worst: dict[str, Disagreement] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def available_methods() -> tuple[dict[str, FindNuclei], dict[str, str]]:
    """Return the methods that run on this machine by name, and why the others don't."""
    ready: dict[str, FindNuclei] = {}
    missing: dict[str, str] = {}
    chosen = resolve_method("auto")
    for name in dict.fromkeys([*METHODS, chosen.name]):
        try:
            segmenter(name)
        except UnknownNameError:
            missing[name] = chosen.reason  # a family that only runs with a model's name
        except PhenolakeError as error:
            missing[name] = str(error)
        else:
            ready[name] = nuclei_by(name)
    families = {name.partition(":")[0] for name in ready}
    return ready, {name: why for name, why in missing.items() if name not in families}


def nuclei_by(method: str) -> FindNuclei:
    """Nuclei of an image's first channel by a method of `segment`."""
    return lambda image: segment(image, {"DNA": 0}, method, cell_channel=None)["Nuclei"]


def compare_methods(
    images: Iterable[AnnotatedImage],
    methods: Mapping[str, FindNuclei],
    thresholds: Sequence[float] = THRESHOLDS,
) -> Comparison:
    """Scores of every method, in one pass over the images; one image in memory at a time.

    Returns
    -------
    Comparison
        `scores` has a row per method, condition (and `OVERALL`) and threshold: `images`, the
        columns of `segmentation_scores`, `seconds_per_image` (wall) and
        `cpu_seconds_per_image` (this process), both medians after one run to warm up. `worst`
        holds for each method the image with the lowest F1 at IoU 0.5. Images that can't be read
        are `problems`.
    """
    runs: dict[tuple[str, str], _Run] = {}
    comparison = Comparison(pl.DataFrame())
    warm: set[str] = set()
    for each in images:
        try:
            image, truth = each.read()
        except PhenolakeError as error:
            comparison.problems.append(_unreadable(each, error))
            continue
        for name, find in methods.items():
            if name not in warm:
                find(image)  # loads weights and compiled code
                warm.add(name)
            started = time.perf_counter(), time.process_time()
            predicted = find(image)
            seconds = time.perf_counter() - started[0], time.process_time() - started[1]
            overlaps = find_overlaps(truth, predicted, each.name)
            for condition in (each.condition, OVERALL):
                runs.setdefault((name, condition), _Run()).add(overlaps, seconds)
            _keep_worst(comparison.worst, name, each.name, image[0], truth, predicted, overlaps)
    tables = [run.scores(thresholds).select(
        pl.lit(name).alias("method"), pl.lit(condition).alias("condition"), pl.all()
    ) for (name, condition), run in sorted(runs.items())]  # fmt: skip
    comparison.scores = pl.concat(tables) if tables else pl.DataFrame()
    return comparison


@dataclass
class _Run:
    """One method on the images of one condition."""

    overlaps: list[Overlaps] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)

    def add(self, overlaps: Overlaps, seconds: tuple[float, float]) -> None:
        self.overlaps.append(overlaps)
        self.seconds.append(seconds)

    def scores(self, thresholds: Sequence[float]) -> pl.DataFrame:
        wall, cpu = np.median(self.seconds, axis=0)
        return pooled_scores(self.overlaps, thresholds).with_columns(
            pl.lit(len(self.overlaps), pl.Int64).alias("images"),
            pl.lit(float(wall)).alias("seconds_per_image"),
            pl.lit(float(cpu)).alias("cpu_seconds_per_image"),
        )


def _keep_worst(
    worst: dict[str, Disagreement],
    method: str,
    name: str,
    plane: NDArray,
    truth: Labels,
    predicted: Labels,
    overlaps: Overlaps,
) -> None:
    objects = overlaps.true_names.size + overlaps.predicted_names.size
    f1 = 2 * overlaps.matched(0.5).size / objects if objects else 1.0
    if method not in worst or f1 < worst[method].f1:
        worst[method] = Disagreement(name, f1, plane, truth, predicted)


def _unreadable(image: AnnotatedImage, error: PhenolakeError) -> Problem:
    return Problem(
        "unreadable_truth", "Export the image and its mask again.",
        uri=str(image.mask), expected="an image and a label image of its shape", got=str(error),
    )  # fmt: skip
