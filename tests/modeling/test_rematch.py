"""A challenger is compared with the champion on held-out cells that neither has trained on."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from phenolake.modeling import load_model, split_by, train
from phenolake.modeling.champion import Rematch, Standing, judge
from phenolake.modeling.prediction import evaluate
from phenolake.modeling.scores import classification_scores

CHAMPION = Standing("1", 0.8, "Metadata_Well", "a, b", "these cells")
OTHER_CELLS = replace(CHAMPION, version="2", metric=0.9, held_out="those cells")


def test_a_higher_score_on_other_cells_promotes_nobody():
    decision = judge(OTHER_CELLS, CHAMPION)
    assert not decision.promoted
    assert "judged on other cells than champion 1" in decision.reason


@pytest.mark.parametrize(("known", "promoted"), [(0.6, True), (0.7, False), (0.75, False)])
def test_scores_on_common_cells_decide_in_place_of_the_recorded_ones(known, promoted):
    decision = judge(OTHER_CELLS, CHAMPION, Rematch(0.7, known, 50))
    assert decision.promoted == promoted
    assert f"0.7000 against {known:.4f} of version 1 on 50 held-out cells" in decision.reason


@pytest.fixture(scope="module")
def contest(blobs, tracker):
    """A champion that never met the wells which its challenger holds out."""
    frame, labels = blobs
    split = split_by(frame.select("^Metadata_.*$"), labels=labels)
    known = np.flatnonzero(split == "train")
    few = train(
        frame[known], [labels[row] for row in known], trees=2, name="grown", tracker=tracker
    )
    return few, train(frame, labels, trees=20, name="grown", tracker=tracker)


def test_a_champion_is_judged_again_on_wells_that_are_new_to_it(blobs, tracker, contest):
    champion, challenger = contest
    rows = challenger.validation
    said = evaluate(champion.model, blobs[0][rows])[0]
    classes = champion.model.classes
    codes = np.searchsorted(classes, np.array(blobs[1])[rows])
    score = classification_scores(codes, said, classes).metrics["balanced_accuracy"]
    own = challenger.scores.metrics["balanced_accuracy"]
    assert challenger.promotion.promoted == (own > score)
    assert challenger.promotion.reason == (
        f"balanced_accuracy {own:.4f} against {score:.4f} of version 1 "
        f"on {len(rows)} held-out cells that neither trained on"
    )


def test_wells_that_trained_the_champion_do_not_judge_it(blobs, tracker, contest):
    held = pl.Series(contest[1].split != "train")
    wells = blobs[0].filter(~held)["Metadata_Well"].unique().sort()
    # The champion has learned from these wells, so none of them can tell which version is better.
    chosen = blobs[0]["Metadata_Well"].is_in(wells.implode())
    labels = pl.Series(blobs[1]).filter(chosen).to_list()
    other = train(blobs[0].filter(chosen), labels, trees=20, name="grown", tracker=tracker, seed=3)
    assert not other.promotion.promoted
    assert "new to both; force to replace it" in other.promotion.reason
    assert load_model("models:/grown@champion", tracker.tracking_uri).version != "3"
