"""What a model says about cells: class, probabilities, uncertainty and novelty."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError
from phenolake.modeling.model_parts import Model
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.uncertainty import ensemble_uncertainty, entropy
from phenolake.modeling.versions import RegisteredVersion
from phenolake.modeling.votes import votes_of
from phenolake.modeling.weights import read_model

#: Label of cells above a model's novelty threshold.
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and where it came from; name, version and run are empty for a folder."""

    model: Model
    name: str = ""
    version: str = ""
    run_id: str = ""

    @property
    def kind(self) -> str:
        """Such as `forest` or `network`."""
        return self.model.kind

    @property
    def takes(self) -> str:
        """`features`: frames of them; `crops`: arrays of images."""
        return self.model.takes

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.model.classes

    def predict_proba(self, data: np.ndarray | pl.DataFrame) -> np.ndarray:
        """Return class probabilities, shape (n, class)."""
        return evaluate(self.model, data)[0]


def load_model(uri: str | Path, tracking_uri: str | None = None) -> LoadedModel:
    """Return a registered model, or one stored in a folder.

    Parameters
    ----------
    uri
        `models:/<name>@champion`, `models:/<name>/<version>`, or a folder with `model.json`.
    tracking_uri
        MLflow store; by default that of this installation.

    Raises
    ------
    UnknownNameError
        If the registry has no such model.
    ModelFileError
        If its files are missing or damaged.
    """
    with model_files(uri, tracking_uri) as (folder, version):
        model = read_model(folder)
    if version is None:
        return LoadedModel(model)
    return LoadedModel(model, version.name, version.version, version.run_id)


@contextmanager
def model_files(
    uri: str | Path, tracking_uri: str | None = None
) -> Iterator[tuple[Path, RegisteredVersion | None]]:
    """Yield the folder with a model's files, and its version where it is a registered one.

    Raises
    ------
    UnknownNameError
        If the registry has no such model.
    """
    if not str(uri).startswith("models:"):
        yield Path(uri), None
        return
    tracker = Tracker(tracking_uri)
    version = tracker.resolve(str(uri))
    with tempfile.TemporaryDirectory() as folder:
        yield tracker.fetch(version, Path(folder)), version


def predict(
    data: np.ndarray | pl.DataFrame | pl.LazyFrame,
    model: str | Path | LoadedModel | Model,
    tracking_uri: str | None = None,
    *,
    unknown: bool = False,
    dropout_passes: int = 0,
) -> pl.DataFrame:
    """Return one row per cell: label, probability of each class, uncertainty and novelty.

    Parameters
    ----------
    data
        For a model of crops (n, channel, y, x) or (n, y, x), see `as_uint8`; for one of features a
        frame with them, whose `Metadata_` columns come back in front.
    model
        A model, or what `load_model` takes.
    unknown
        Label cells `unknown` whose novelty is above the model's threshold.
    dropout_passes
        Apply a network with dropout so many times with units dropped; probabilities are the means.

    Notes
    -----
    `uncertainty` is the entropy of the probabilities in nats: 0 when sure, ln(classes) when all are
    equal. Models with several votes, members or dropout passes, also tell `expected_entropy` and
    `mutual_information`; see `ensemble_uncertainty`. `novelty` is the share of known, held-out cells
    that are less novel: near 1 means unlike anything known. See `NoveltyReference` and, for models
    trained with folds, `NeighbourNovelty`.

    Raises
    ------
    TrainingDataError
        If the data don't fit the model, or `unknown` is asked of one without a threshold.
    """
    if isinstance(model, str | Path):
        model = load_model(model, tracking_uri)
    if isinstance(model, LoadedModel):
        model = model.model
    frame = data.collect() if isinstance(data, pl.LazyFrame) else data
    check_takes(model, frame)
    voted = votes_of(model, frame, dropout_passes)
    probabilities, embedding = (
        evaluate(model, frame) if voted is None else (voted.probabilities, voted.embedding)
    )
    novelty = model.novelty.score(embedding)
    labels = np.array(model.classes, dtype=object)[probabilities.argmax(axis=1)]
    if unknown:
        labels[novelty > _threshold(model)] = UNKNOWN
    columns = {
        "label": pl.Series(labels.tolist(), dtype=pl.String),
        **{
            f"probability_{name}": probabilities[:, index].astype(np.float32)
            for index, name in enumerate(model.classes)
        },
        "uncertainty": entropy(probabilities),
        "novelty": novelty,
    }
    said = pl.DataFrame(columns)
    if voted is not None:
        said = said.hstack(ensemble_uncertainty(voted.votes).drop("entropy"))
    keys = frame.select(pl.col("^Metadata_.*$")) if isinstance(frame, pl.DataFrame) else None
    # Without a column a frame has no rows either, and can't stand beside what was said.
    return keys.hstack(said) if keys is not None and keys.width else said


def evaluate(model: Model, data: np.ndarray | pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return class probabilities and the embedding that novelty is measured in.

    Raises
    ------
    TrainingDataError
        If a model of features is given images, or one of crops a frame.
    """
    check_takes(model, data)
    said: tuple[np.ndarray, np.ndarray] = model.evaluate(data)  # type: ignore[arg-type]
    return said


def check_takes(model: Model, data: object) -> None:
    """Refuse images for a model of features, and frames for one of crops.

    Raises
    ------
    TrainingDataError
        If the data are of the wrong type.
    """
    wanted: type = pl.DataFrame if model.takes == "features" else np.ndarray
    if not isinstance(data, wanted):
        takes = "a frame of features" if model.takes == "features" else "an array of crops"
        raise TrainingDataError(f"a {model.kind} takes {takes}, got {type(data).__name__}")


def _threshold(model: Model) -> float:
    threshold = getattr(model, "unknown_above", None)
    if threshold is None:
        raise TrainingDataError(
            "the model has no novelty threshold; train it with folds, which sets one"
        )
    return float(threshold)
