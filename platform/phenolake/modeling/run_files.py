"""The files that go with a training run: weights, card, signature, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from phenolake.modeling.card import model_card
from phenolake.modeling.classical import BoostedTrees, LinearClassifier
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.forest import Forest
from phenolake.modeling.measured_crops import MeasuredCrops
from phenolake.modeling.model_parts import Model
from phenolake.modeling.scores import ClassificationScores
from phenolake.modeling.splits import SplitSummary

MODEL_FOLDER = "model"
#: Which group, such as a well, was in which part of the training.
SPLIT_FILE = "split_of_wells.csv"


@dataclass(frozen=True)
class Findings:
    """What else was found in a training: `tables` and `pictures` (PNG) by name.

    A table becomes a CSV file and a section of the model card, a picture a file. `groups`: which
    group was in which part, a file of its own.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    groups: pl.DataFrame | None = None


def write_report(
    folder: Path,
    title: str,
    model: Model | Encoder,
    scores: ClassificationScores,
    split: SplitSummary,
    data_versions: Mapping[str, int],
    weights_sha256: str,
    findings: Findings,
) -> None:
    """Write what belongs to a model into the folder that holds it in `model`."""
    from phenolake.pictures.calibration import calibration_curve
    from phenolake.pictures.curves import confusion_matrix, training_curves

    card = model_card(title, model, scores, split, data_versions, weights_sha256, findings.tables)
    (folder / MODEL_FOLDER / "README.md").write_text(card)
    write_signature(folder / MODEL_FOLDER, model)
    pictures = {
        "confusion_matrix": confusion_matrix(scores.confusion, scores.classes),
        "calibration": calibration_curve(scores.calibration),
        **findings.pictures,
    }
    history = getattr(model, "history", [])
    if history:
        pictures["training_curves"] = training_curves(history)
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(picture)
    tables = {"per_class": scores.per_class, "calibration": scores.calibration, **findings.tables}
    for name, table in tables.items():
        table.write_csv(folder / f"{name}.csv")
    if findings.groups is not None:
        findings.groups.write_csv(folder / SPLIT_FILE)


def write_signature(folder: Path, model: Model | Encoder) -> None:
    """Write the `MLmodel` file by which MLflow shows what a model takes and gives.

    It names no flavour: MLflow itself loads no such model, and nothing in it is code.
    """
    import numpy as np
    from mlflow.models import Model as MlflowModel
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    features, crop = inputs_of(model)
    taken = (
        Schema([ColSpec("double", name) for name in features])
        if crop is None
        else Schema([TensorSpec(np.dtype("uint8"), (-1, *crop))])
    )
    if isinstance(model, Encoder):
        given = [TensorSpec(np.dtype("float32"), (-1, model.architecture.body()[1]), "embedding")]
    else:
        given = [ColSpec("string", "label")]
        given += [ColSpec("double", f"probability_{name}") for name in model.classes]
        given += [ColSpec("double", name) for name in ("uncertainty", "novelty")]
    signature = ModelSignature(inputs=taken, outputs=Schema(given))
    MlflowModel(artifact_path=MODEL_FOLDER, signature=signature).save(str(folder / "MLmodel"))


def inputs_of(model: Any) -> tuple[tuple[str, ...], tuple[int, int, int] | None]:
    """Return names of the features a model needs, or the (channel, y, x) of its crops."""
    match model:
        case Forest():
            return model.features, None
        case LinearClassifier() | BoostedTrees():
            return model.columns.names, None
        case MeasuredCrops():
            return (), model.shape
        case Ensemble():
            needed = [inputs_of(member) for member in model.members]
            names = dict.fromkeys(name for features, _ in needed for name in features)
            return tuple(names), needed[0][1]
        case _:
            layout = model.architecture
            return (), (layout.channels, layout.size, layout.size)
