"""The rule by which a newly trained model replaces the one in use."""

from __future__ import annotations

from dataclasses import dataclass

METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class Standing:
    """What the rule looks at: the validation metric, the kind of split and the classes.

    `held_out`: hash of which cells the metric is of; empty where it was not recorded.
    """

    version: str
    metric: float | None
    split_by: str
    classes: str
    held_out: str = ""


@dataclass(frozen=True)
class Rematch:
    """The metric of both versions on the same held-out cells, which neither has trained on."""

    challenger: float
    champion: float
    cells: int


@dataclass(frozen=True)
class Promotion:
    """Whether a version became champion, and why or why not."""

    promoted: bool
    reason: str


def judge(
    challenger: Standing, champion: Standing | None, rematch: Rematch | None = None
) -> Promotion:
    """Decide whether a version replaces the champion.

    It does if there is none yet, or if its balanced accuracy is strictly higher on the same
    held-out cells: those both were judged on, or else those of `rematch`. Versions with other
    classes, another kind of split, or no common held-out cells can't be compared and don't replace
    it.
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
    if challenger.held_out and challenger.held_out == champion.held_out:
        rematch, where = Rematch(challenger.metric, champion.metric, 0), ""
    elif rematch is None:
        return Promotion(
            False,
            f"judged on other cells than champion {champion.version}, and no held-out cells of "
            "every class are new to both; force to replace it",
        )
    else:
        where = f" on {rematch.cells} held-out cells that neither trained on"
    return Promotion(
        rematch.challenger > rematch.champion,
        f"{METRIC} {rematch.challenger:.4f} against {rematch.champion:.4f} "
        f"of version {champion.version}{where}",
    )
