"""The rule by which a newly trained model replaces the one in use."""

from __future__ import annotations

from dataclasses import dataclass

METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class Standing:
    """What the rule looks at: the validation metric, the kind of split and the classes."""

    version: str
    metric: float | None
    split_by: str
    classes: str


@dataclass(frozen=True)
class Promotion:
    """Whether a version became champion, and why or why not."""

    promoted: bool
    reason: str


def judge(challenger: Standing, champion: Standing | None) -> Promotion:
    """Decide whether a version replaces the champion.

    It does if there is none yet, or if its balanced validation accuracy is strictly higher.
    Versions with other classes, or judged on another kind of split, can't be compared and don't
    replace it.
    """
    if challenger.metric is None:
        return Promotion(False, f"version {challenger.version} has no {METRIC}")
    if champion is None:
        return Promotion(True, "first champion")
    if champion.metric is None:
        return Promotion(True, f"champion {champion.version} has no {METRIC}")
    if challenger.classes != champion.classes:
        return Promotion(
            False, f"classes differ from those of champion {champion.version}; force to replace it"
        )
    if challenger.split_by != champion.split_by:
        return Promotion(
            False,
            f"split by {challenger.split_by}, champion {champion.version} by {champion.split_by}: "
            "not comparable; force to replace it",
        )
    better = challenger.metric > champion.metric
    return Promotion(
        better,
        f"{METRIC} {challenger.metric:.4f} against {champion.metric:.4f} "
        f"of version {champion.version}",
    )
