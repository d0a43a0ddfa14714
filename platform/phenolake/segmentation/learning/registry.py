"""Trained segmentation networks in MLflow: runs, versions, and fetching a version's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.modeling.tracking import CHAMPION, Tracker
from phenolake.modeling.versions import RegisteredVersion
from phenolake.segmentation.learning.judging import POOLED
from phenolake.segmentation.learning.workflow import Trained

#: Experiment, and by default the name of the registered model.
EXPERIMENT = "segmentation_network"


def record_training(
    trained: Trained,
    tracker: Tracker,
    name: str = EXPERIMENT,
    tags: Mapping[str, str] | None = None,
) -> tuple[RegisteredVersion, str]:
    """Log a training and register its weights; return the version and why it leads or doesn't.

    The version is the candidate. It becomes champion if there is none, or if it beats the champion
    on the same test images (AP at IoU 0.5 plus AP at 0.7 and 0.9).
    """
    score = _score(trained.scores)
    metrics = {"test_mean_ap": score}
    for row in trained.scores.iter_rows(named=True):
        where = "" if row["condition"] == POOLED else f".{_metric_name(row['condition'])}"
        metrics |= {f"test_{what}_{row['threshold']}{where}": row[what] for what in ("f1", "ap")}
    run_id = tracker.log_folder(
        EXPERIMENT,
        trained.folder,
        run_name=name,
        params=asdict(trained.trained.settings),
        metrics={key: value for key, value in metrics.items() if value == value},
        curves=trained.trained.history,
        step_of="round",
        tags={
            "weights_sha256": trained.weights_sha256,
            "split_sha256": trained.split_sha256,
            "judged_on": trained.judged_on,
            **(tags or {}),
        },
    )
    version = tracker.register(name, run_id)
    reason = _reason_to_lead(tracker, name, score, trained.split_sha256)
    leads = reason.startswith(("first", "better"))
    if leads:
        tracker.set_champion(name, version.version)
    return version, reason


def _reason_to_lead(tracker: Tracker, name: str, score: float, split_sha256: str) -> str:
    try:
        champion = tracker.resolve(f"models:/{name}@{CHAMPION}")
    except UnknownNameError:
        return "first champion"
    data = tracker.client.get_run(champion.run_id).data
    if data.tags.get("split_sha256") != split_sha256:
        return f"champion {champion.version} was judged on other images; not comparable"
    other = float(data.metrics.get("test_mean_ap", 0.0))
    word = "better" if score > other else "no better"
    return f"{word}: mean AP {score:.4f} against {other:.4f} of version {champion.version}"


def _score(scores: pl.DataFrame) -> float:
    pooled = scores.filter(pl.col("condition") == POOLED)
    return float(pooled["ap"].fill_nan(0.0).mean() or 0.0)  # type: ignore[arg-type]


def _metric_name(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text)
