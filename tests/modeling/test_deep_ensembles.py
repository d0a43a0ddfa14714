"""Several networks that vote, and recipes changed by name."""

import numpy as np
import pytest

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.modeling import Ensemble, load_network, predict, save_model, train
from phenolake.modeling.networks import changed_recipe


@pytest.fixture(scope="module")
def ensemble(disks, tiny):
    recipe = changed_recipe("cnn2", {"loss": "generalized", "learning_rate": 0.01})
    options = {"model": tiny, "recipe": recipe, "epochs": 2, "device": "cpu"}
    return train(*disks, members=2, seed=4, **options).model


def test_members_differ_and_their_mean_is_the_prediction(ensemble, disks):
    assert isinstance(ensemble, Ensemble)
    first, second = (member.predict_proba(disks[0][:20]) for member in ensemble.members)
    assert not np.array_equal(first, second)
    said = predict(disks[0][:20], ensemble)
    mean = (first + second) / 2
    np.testing.assert_allclose(said[f"probability_{ensemble.classes[0]}"], mean[:, 0], rtol=1e-5)
    assert (said["mutual_information"] >= 0).all()
    assert [member.settings["seed"] for member in ensemble.members] == [4, 5]
    assert ensemble.settings["recipe"]["loss"] == "generalized"


def test_an_ensemble_of_networks_embeds_as_its_first_member(ensemble, disks, tmp_path):
    save_model(ensemble, tmp_path / "two")
    network = load_network(tmp_path / "two").model
    np.testing.assert_array_equal(
        network.embed(disks[0][:5]), ensemble.members[0].embed(disks[0][:5])
    )


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"lost": "focal"}, UnknownNameError, "loss"),
        ({"loss": "focus"}, ConfigurationError, "cross_entropy, focal, generalized"),
        ({"patience": "five"}, ConfigurationError, "five"),
    ],
)
def test_a_recipe_that_can_not_be_is_one_sentence(changes, error, text):
    with pytest.raises(error, match=text) as raised:
        changed_recipe("cnn2", changes)
    assert "\n" not in str(raised.value)
