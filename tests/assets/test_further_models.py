"""Models that a screen gets on request: networks of whole fields, and encoders."""

from __future__ import annotations

import pytest

from phenolake.modeling import Tracker
from scenario import facts_of, failure_of

GFP = {"Metadata_Screen": "gfp"}


def run(materialized, job: str, only: str | None = None, **config: object):
    return materialized.home.run(job, "gfp", only, **config)


@pytest.fixture(scope="module")
def fields(materialized):
    config = {"size": 32, "epochs": 1, "architecture": "multi_scale"}
    result = run(materialized, "field_models_job", phenotype_field_network=config)
    assert result.success, failure_of(result)
    return result


def test_a_network_of_whole_fields_holds_out_wells_and_is_registered(materialized, fields):
    facts = facts_of(fields, "phenotype_field_network")
    assert facts["model"] == "models:/gfp-fields/1"
    assert facts["split"].startswith("by Metadata_Well")
    assert facts["fields"] == 2 * 4
    tracker = Tracker(materialized.home.settings.mlflow_tracking_uri)
    files = {entry.path for entry in tracker.client.list_artifacts(facts["mlflow run"])}
    assert {"confusion_matrix.png", "training_curves.png", "split_of_wells.csv"} <= files


def test_every_field_is_judged_and_summed_up_by_well(materialized, fields):
    lake = materialized.home.lake
    said = lake.read("field_predictions", GFP)
    assert said.height == 2 * 4
    assert set(said["split"]) == {"train", "validation"}
    assert said["true_label"].null_count() == 0
    wells = lake.read("well_predictions", GFP)
    of_fields = wells.filter(judged="fields")
    assert of_fields["model_name"].unique().to_list() == ["gfp-fields"]
    assert of_fields["cells"].to_list() == [1] * (2 * 4)
    assert set(wells["judged"]) == {"cells", "fields"}


def test_a_model_of_cells_is_refused_for_fields(materialized, fields):
    asked = {"models": ["models:/gfp-network@champion"]}
    result = run(materialized, "field_models_job", "field_predictions", field_predictions=asked)
    assert "judges cells, no whole fields" in failure_of(result)


def test_fields_smaller_than_asked_for_are_a_reason_that_names_the_site(materialized):
    result = run(
        materialized,
        "field_models_job",
        "phenotype_field_network",
        phenotype_field_network={"size": 512},
    )
    facts = facts_of(result, "phenotype_field_network")
    assert not facts["trained"]
    assert "plate P1, well A01, site 1" in facts["reason"]


def test_an_encoder_is_trained_registered_and_embeds_cells(materialized):
    result = run(materialized, "encoder_job", cell_encoder={"epochs": 1})
    assert result.success, failure_of(result)
    facts = facts_of(result, "cell_encoder")
    assert facts["champion"] == "True (first champion)"
    assert facts["split"].startswith("by Metadata_Plate")
    uri = "models:/gfp-encoder@champion"
    embedded = run(materialized, "screen_job", "cell_embeddings", cell_embeddings={"model": uri})
    assert facts_of(embedded, "cell_embeddings")["model"] == "gfp-encoder/1"
    for name in ("embedding_profiles", "model_scores"):
        assert run(materialized, "screen_job", name).success
    scores = materialized.home.lake.read("model_scores", GFP).filter(model_name="gfp-encoder")
    assert set(scores["approach"]) <= {"end-to-end"}
    assert scores["training_cells"].null_count() == 0
    # The embeddings of the screen's own network come back for the tests after this one.
    for name in ("cell_embeddings", "embedding_profiles", "model_scores"):
        assert run(materialized, "screen_job", name).success


def test_networks_that_vote_are_trained_with_a_changed_recipe_and_plates_held_out(materialized):
    config = {
        "members": 2, "epochs": 1, "held_out": "plate", "recipe": {"loss": "generalized"},
    }  # fmt: skip
    result = run(materialized, "screen_job", "phenotype_network", phenotype_network=config)
    assert result.success, failure_of(result)
    facts = facts_of(result, "phenotype_network")
    assert facts["split"].startswith("by Metadata_Plate")
    assert "not comparable" in facts["champion"]
    wrong = {"recipe": {"lost": "focal"}}
    failed = run(materialized, "screen_job", "phenotype_network", phenotype_network=wrong)
    assert "loss" in failure_of(failed)
