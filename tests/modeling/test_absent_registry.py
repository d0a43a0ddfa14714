"""A registry that is down: the training waits for it, and what it made is not lost."""

from __future__ import annotations

import socket
from collections import Counter

import pytest
import requests

from phenolake.errors import RegistryUnavailableError
from phenolake.modeling import Tracker, predict, read_model, train
from phenolake.modeling import patient_client as waiting

AWAY = "http://127.0.0.1:9"


class OftenAway:
    """A client of a store in SQLite that fails the first two times it is asked something."""

    def __init__(self, store: str) -> None:
        from mlflow import MlflowClient

        self.asked: Counter[str] = Counter()
        self.client = MlflowClient(tracking_uri=store, registry_uri=store)

    def __getattr__(self, name):
        def answer(*args, **options):
            self.asked[name] += 1
            if self.asked[name] <= 2:
                raise requests.ConnectionError("connection refused")
            return getattr(self.client, name)(*args, **options)

        return answer


def test_a_training_waits_for_a_server_and_goes_on(tracker, blobs, tmp_path, monkeypatch):
    client = OftenAway(tracker.tracking_uri)
    monkeypatch.setattr(waiting, "_quiet_client", lambda uri: client)
    monkeypatch.setattr("phenolake.modeling.tracking.FIRST_PAUSE", 0.001)
    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path / "home"))
    tracker = Tracker(AWAY, tmp_path / "artifacts", patience=60)
    result = train(*blobs, name="late", tracker=tracker, trees=3)
    assert result.promotion.promoted
    assert client.asked["log_artifacts"] == 3
    assert tracker.client.get_run(result.registered.run_id).info.status == "FINISHED"
    kept = read_model(tracker.fetch(result.registered, tmp_path))
    assert predict(blobs[0], kept).equals(predict(blobs[0], result.model))
    assert list((tmp_path / "home" / "unsent").iterdir()) == []


def test_a_server_that_stays_away_is_one_sentence_and_the_model_is_kept(
    blobs, tmp_path, monkeypatch
):
    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        tracker = Tracker(f"http://127.0.0.1:{held.getsockname()[1]}", patience=0.5)
        with pytest.raises(RegistryUnavailableError, match=r"did not answer for 0\.5 s") as raised:
            train(*blobs, name="lost", tracker=tracker, trees=3)
    assert str(raised.value).count("\n") == 0
    (kept,) = (tmp_path / "unsent").glob("lost-*/model")
    assert str(kept) in str(raised.value)
    assert read_model(kept).classes == ("dmso", "sn38", "taxol")
