"""Classifiers of cells: split, trained, tracked in MLflow, registered and applied.

`train` and `predict` do it in one call each; the parts are there to be used alone.
"""

from __future__ import annotations

from phenolake.modeling.champion import Promotion
from phenolake.modeling.classical import train_boosting, train_linear
from phenolake.modeling.crop_features import measure_crops
from phenolake.modeling.crops import Crops, cut_crops
from phenolake.modeling.embedding import embed, load_network
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.fields import shrink_field
from phenolake.modeling.forest import Forest, train_forest
from phenolake.modeling.learning.contrastive import train_encoder
from phenolake.modeling.networks import (
    CNN_MODELS,
    Architecture,
    Backbone,
    Layout,
    MultipleInstance,
    MultiScale,
    Recipe,
    ResNet18,
    WideResidual,
)
from phenolake.modeling.prediction import LoadedModel, load_model, predict
from phenolake.modeling.scores import ClassificationScores, classification_scores
from phenolake.modeling.splits import (
    SplitSummary,
    check_leakage,
    split_by,
    split_hash,
    summarize_split,
)
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.trained_network import TrainedNetwork
from phenolake.modeling.training import train_network
from phenolake.modeling.versions import RegisteredVersion
from phenolake.modeling.weights import read_encoder, read_model, save_model
from phenolake.modeling.workflow import TrainingResult, train

__all__ = [
    "CNN_MODELS",
    "Architecture",
    "Backbone",
    "ClassificationScores",
    "Crops",
    "Encoder",
    "Ensemble",
    "Forest",
    "Layout",
    "LoadedModel",
    "MultiScale",
    "MultipleInstance",
    "Promotion",
    "Recipe",
    "RegisteredVersion",
    "ResNet18",
    "SplitSummary",
    "Tracker",
    "TrainedNetwork",
    "TrainingResult",
    "WideResidual",
    "check_leakage",
    "classification_scores",
    "cut_crops",
    "embed",
    "load_model",
    "load_network",
    "measure_crops",
    "predict",
    "read_encoder",
    "read_model",
    "save_model",
    "shrink_field",
    "split_by",
    "split_hash",
    "summarize_split",
    "train",
    "train_boosting",
    "train_encoder",
    "train_forest",
    "train_linear",
    "train_network",
]
