"""Gold tables of networks: profiles made of embeddings, and models set side by side."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Features, Layer, Table
from phenolake.tables.gold import MODEL_PREDICTIONS

PER_SCREEN = ("Metadata_Screen",)

EMBEDDING_PROFILES = Table(
    "embedding_profiles",
    Layer.GOLD,
    grain="one row per well and correction method: mean embedding of its cells, after the recipe",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Correction"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        *keys.TREATMENT,
        keys.CELL_COUNT,
        Column(
            "Metadata_Correction",
            pa.string(),
            "correction method, e.g. sphering; uncorrected: the mean embedding as it is",
            nullable=False,
        ),
        Column("Metadata_Model", pa.string(), "name/version of the network", nullable=False),
    ),
    features=Features(pa.float64(), "unit of the network's last layer, Cells_Embedding_<number>"),
    free_metadata=True,
)

MODEL_SCORES = Table(
    "model_scores",
    Layer.GOLD,
    grain="one row per screen, model, question and score; models of a question are judged alike",
    key=(*PER_SCREEN, "model_name", "model_version", "question", "score"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        Column(
            "model_name", pa.string(), "registered model, or recipe of profiles", nullable=False
        ),
        Column("model_version", pa.string(), "version in the registry", nullable=False),
        Column(
            "approach",
            pa.string(),
            "stage-wise (measured features, then a model) or end-to-end (pixels, then a network)",
            nullable=False,
        ),
        Column(
            "question",
            pa.string(),
            "class of cells in held-out wells, or what profiles after a correction are worth",
            nullable=False,
        ),
        Column("score", pa.string(), "name of the score, e.g. balanced_accuracy", nullable=False),
        Column("value", pa.float64(), "the score; null where the screen can't tell"),
        Column("judged", pa.int64(), "cells or wells that were judged"),
        Column("training_cells", pa.int64(), "cells that the model learned from", unit="cells"),
        Column("parameters", pa.int64(), "numbers that the model has learned"),
        Column("fit_seconds", pa.float64(), "time of the training", unit="s"),
        Column("fit_cpu_seconds", pa.float64(), "processor time of the training", unit="s"),
        Column("split_sha256", pa.string(), "hash of the split that the model was trained on"),
        Column("data", pa.string(), "tables and versions that the model learned from"),
    ),
)

FIELD_PREDICTIONS = Table(
    "field_predictions",
    Layer.GOLD,
    grain="one row per site and model of whole fields; columns are those of model_predictions",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site", "model_name", "model_version"),
    partition_by=PER_SCREEN,
    columns=tuple(column for column in MODEL_PREDICTIONS.columns if column is not keys.OBJECT),
)

WELL_PREDICTIONS = Table(
    "well_predictions",
    Layer.GOLD,
    grain="one row per well and model: its cells in model_predictions, or its fields in "
    "field_predictions, taken together",
    key=(*PER_PLATE, "Metadata_Well", "model_name", "model_version"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        Column("model_name", pa.string(), "registered model in MLflow", nullable=False),
        Column("model_version", pa.string(), "version in the MLflow registry", nullable=False),
        Column("judged", pa.string(), "what the model judges: cells or fields"),
        Column("cells", pa.int64(), "cells, or fields, that were judged", nullable=False),
        Column("label", pa.string(), "class of the highest mean probability", nullable=False),
        Column("true_label", pa.string(), "the one class of all that was judged, where it has one"),
        Column(
            "split",
            pa.string(),
            "train, validation or unseen: how the model met this well",
            nullable=False,
        ),
        Column("probability", pa.float32(), "mean probability of `label`", nullable=False),
        Column("label_share", pa.float32(), "share of cells called `label`", nullable=False),
        Column("entropy", pa.float32(), "mean entropy of the cells", unit="nats", nullable=False),
        Column(
            "mutual_information",
            pa.float32(),
            "mean mutual information of the cells; null for a model of one opinion",
            unit="nats",
        ),
        Column("novelty", pa.float32(), "mean novelty of the cells"),
        Column(
            "unknown_share",
            pa.float32(),
            "share of cells called unknown; null for a model without a threshold",
        ),
        Column(
            "classes",
            pa.list_(
                pa.struct(
                    [
                        ("class", pa.string()),
                        ("probability", pa.float32()),
                        ("share", pa.float32()),
                        ("cells", pa.int64()),
                    ]
                )
            ),
            "every class: mean probability, share and number of the cells called so",
        ),
    ),
)

LABELLING_QUEUE = Table(
    "labelling_queue",
    Layer.GOLD,
    grain="one row per cell that is worth a label, by model and strategy",
    key=(
        *PER_PLATE,
        "Metadata_Well",
        "Metadata_Site",
        "Metadata_ObjectNumber",
        "model",
        "strategy",
    ),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        keys.OBJECT,
        Column(
            "model", pa.string(), "name/version of the model; several joined by +", nullable=False
        ),
        Column("strategy", pa.string(), "least_confident, margin or vote_entropy", nullable=False),
        Column("rank", pa.int32(), "place in the queue, from 1", nullable=False),
        Column(
            "priority",
            pa.float32(),
            "1 - largest probability, 1 - lead of the first class, or entropy of votes in nats",
            nullable=False,
        ),
        Column("guess", pa.string(), "class the model holds most likely", nullable=False),
        Column("current_label", pa.string(), "true_label of model_predictions, where there is one"),
    ),
)
