"""Training an encoder without labels, judging it by its nearest cells, and registering it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError
from phenolake.modeling.champion import Promotion
from phenolake.modeling.embedding import load_network
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.labels import TRAIN, VALIDATION, encode_labels
from phenolake.modeling.learning.contrastive import train_encoder
from phenolake.modeling.rematch import HeldOut, group_parts, rematch
from phenolake.modeling.run_files import Findings
from phenolake.modeling.scores import ClassificationScores, classification_scores
from phenolake.modeling.splits import SplitSummary, split_by, summarize_split
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.versions import RegisteredVersion, check_model_name

NEIGHBOURS = 20


@dataclass(frozen=True, eq=False)
class EncoderResult:
    """A registered encoder, its split, and how well its nearest cells name classes."""

    model: Encoder
    summary: SplitSummary
    scores: ClassificationScores
    registered: RegisteredVersion
    promotion: Promotion


def neighbour_classes(
    known: np.ndarray, codes: np.ndarray, asked: np.ndarray, classes: int
) -> np.ndarray:
    """Return the share of each class among the nearest known cells, float64 (n, class).

    Parameters
    ----------
    known, codes
        Embeddings (m, unit) and classes (m,) of known cells; the nearest 20 by cosine count alike.
    asked
        Embeddings (n, unit).

    References
    ----------
    Wu et al. (2018), "Unsupervised feature learning via non-parametric instance discrimination",
    for judging embeddings by their nearest neighbours.
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(known))
    index = NearestNeighbors(n_neighbors=count, metric="cosine").fit(known)
    nearest = codes[index.kneighbors(asked, return_distance=False)]
    return np.stack([(nearest == code).mean(axis=1) for code in range(classes)], axis=1)


def register_encoder(
    crops: np.ndarray,
    labels: Iterable[object],
    *,
    keys: pl.DataFrame,
    by: str,
    name: str,
    tracker: Tracker,
    experiment: str | None = None,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    data_versions: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
    **options: Any,
) -> EncoderResult:
    """Train an encoder on the training groups, record it, and make it champion if it is better.

    Parameters
    ----------
    labels
        Class of each cell. The encoder never sees them: they judge it. A held-out cell is named by
        its 20 nearest training cells in the embedding.
    by
        What is held out, such as plates; see `split_by`.
    **options
        For `train_encoder`.

    Raises
    ------
    TrainingDataError
        If there is one class only, the data can't be split, or are no crops.
    """
    check_model_name(name)
    encoded = encode_labels(labels)
    if len(encoded.classes) < 2:
        raise TrainingDataError(
            f"only one class ({encoded.classes[0]}); an encoder is judged by telling classes apart"
        )
    split = split_by(keys, by, fractions, seed, [encoded.classes[code] for code in encoded.codes])
    started, started_cpu = time.perf_counter(), time.process_time()
    encoder = train_encoder(crops, split, seed=seed, **options)
    cost = {
        "fit_seconds": round(time.perf_counter() - started, 3),
        "fit_cpu_seconds": round(time.process_time() - started_cpu, 3),
    }
    known, held = np.flatnonzero(split == TRAIN), np.flatnonzero(split == VALIDATION)

    def said_by(network: Any) -> np.ndarray:
        """What held-out cells are called by their nearest training cells in an embedding."""
        embedded = [network.embed(crops[rows]) for rows in (known, held)]
        codes = encoded.codes[known]
        return neighbour_classes(embedded[0], codes, embedded[1], len(encoded.classes))

    probabilities = said_by(encoder)
    scores = classification_scores(encoded.codes[held], probabilities, encoded.classes)
    summary = summarize_split(keys, split, by, seed)
    run_id = tracker.log_training(
        experiment or name,
        encoder,
        scores,
        summary,
        run_name=name,
        params={"method": "contrastive", "neighbours": NEIGHBOURS, **cost},
        data_versions=data_versions,
        tags=tags,
        findings=Findings(groups=group_parts(keys, split, by)),
    )
    version = tracker.register(name, run_id)
    judged = HeldOut(keys[held], by, encoded.codes[held], probabilities, encoded.classes)
    promotion = tracker.promote(
        name,
        version.version,
        rematch=lambda champion: rematch(
            tracker,
            champion,
            judged,
            lambda other: said_by(load_network(other.uri, tracker.tracking_uri).model),
        ),
    )
    return EncoderResult(encoder, summary, scores, version, promotion)
