"""The published eight-class study on a simulated four-channel screen, at a size that a CPU can do.

Classes are seven compounds at their two highest doses and the solvent; 42 measured properties for
the classical models, 32 x 32 x 4 crops for the networks. The split by cell is the study's; those by
well and by plate stand beside it. Results are kept row by row in `results.csv` of the folder, and
epochs as checkpoints, so that a run that was stopped goes on. Example:
`python benchmarks/eight_class_study.py --cells 1200 --sites 4 --folder study`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from eight_class_cells import study_cells, study_plan

from phenolake.modeling import split_by, train_forest, train_network
from phenolake.modeling.classical import train_linear
from phenolake.modeling.classical.cost_sweep import COSTS, sweep_costs
from phenolake.modeling.labels import TRAIN, VALIDATION, encode_labels
from phenolake.modeling.networks import named_model
from phenolake.modeling.scores import classification_scores

CELL, WELL, PLATE = "cell", "Metadata_Well", "Metadata_Plate"
FRACTIONS = {"train": 5 / 6, "validation": 1 / 6}  # 50,000 and 10,000 cells of the study


@dataclass(frozen=True)
class Row:
    """One line of the study's tables: a network with its changes, or a method on properties."""

    name: str
    network: str = ""
    epochs: int = 0
    layout: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    augmentation: bool = True
    splits: tuple[str, ...] = (CELL,)


EVERY = (CELL, WELL, PLATE)
#: The study trains model 1 by plain gradient descent in batches of 100 over 250,000 steps. Batches
#: of 20 make the most of few epochs; both rows of model 1 have them.
_DESCENT = {"batch_size": 20}
#: The study's rate of 1e-4 needs its 500 epochs.
_FAST = {"learning_rate": 1e-3}
CLASSICAL = (
    Row("LDA", splits=EVERY),
    Row("linear SVM, cost swept", splits=EVERY),
    Row("random forest, 500 trees", splits=EVERY),
)
NETWORKS = (
    Row("CNN 2", "cnn2", 10, recipe=_FAST),
    Row("CNN 2, no batch norm", "cnn2", 10, {"batch_norm": False}, _FAST),
    Row("CNN 1, L2 0.01", "cnn1", 5, recipe={"l2": 0.01, **_DESCENT}),
    Row("CNN 1, L2 5e-4", "cnn1", 5, recipe=_DESCENT),
    Row("CNN 3", "cnn3", 10, recipe=_FAST),
    Row("ResNet n=4 k=1", "wide_4_1", 4, recipe=_FAST),
    Row("CNN 2, dropout", "cnn2", 10, {"dropout": 0.3}, _FAST),
    Row("CNN 2, no batch norm, dropout", "cnn2", 10, {"batch_norm": False, "dropout": 0.3}, _FAST),
    Row("CNN 2, no augmentation", "cnn2", 10, recipe=_FAST, augmentation=False),
    Row("CNN 3", "cnn3", 10, recipe=_FAST, splits=(WELL, PLATE)),
    Row("ResNet n=4 k=1", "wide_4_1", 4, recipe=_FAST, splits=(WELL, PLATE)),
    Row("CNN 2", "cnn2", 10, recipe=_FAST, splits=(WELL, PLATE)),
)


@dataclass(frozen=True, eq=False)
class Study:
    """The cells of the study and where its results are kept.

    `share`: part of the training cells that networks learn from; all held-out cells judge them.
    """

    cells: pl.DataFrame
    crops: np.ndarray
    folder: Path
    seed: int
    share: float

    @property
    def properties(self) -> pl.DataFrame:
        """The 42 measured properties."""
        return self.cells.select(pl.exclude("^Metadata_.*$", "label"))

    def judge(self, row: Row, by: str) -> dict[str, Any]:
        """Train one row on one split; accuracies are of the held-out cells."""
        labels = self.cells["label"].to_list()
        split = split_by(self.cells, by, FRACTIONS, self.seed, labels)
        held = np.flatnonzero(split == VALIDATION)
        started = time.process_time()
        if row.network:
            model: Any = self._network(row, labels, split)
            data: Any = self.crops[held]
            curve = [epoch["validation_accuracy"] for epoch in model.history]
        else:
            model = self._classical(row.name, labels, split, by)
            data, curve = self.properties[held], []
        codes = encode_labels(labels).codes[held]
        scores = classification_scores(codes, model.predict_proba(data), model.classes)
        inert = _inert_merged(scores.confusion, scores.classes)
        return {
            "row": row.name,
            "split": by,
            "epochs": row.epochs,
            "accuracy": scores.metrics["accuracy"],
            "best_epoch_accuracy": max(curve, default=None),
            "accuracy_inert_as_one": inert,
            "training_accuracy": model.history[-1]["train_accuracy"] if curve else None,
            "cpu_s": round(time.process_time() - started),
        }

    def _classical(self, name: str, labels: list[str], split: np.ndarray, by: str) -> Any:
        seed, properties = self.seed, self.properties
        if name.startswith("LDA"):
            return train_linear(properties, labels, split, method="lda", seed=seed)
        if name.startswith("random forest"):
            return train_forest(
                properties, labels, split, trees=500, correlation_limit=0.95, seed=seed
            )
        svm: Callable[..., Any] = partial(train_linear, method="svm", seed=seed)
        sweep = sweep_costs(svm, properties, labels, split, self.cells, by, COSTS, seed)
        print(f"  best cost {sweep.best:g}", flush=True)
        return svm(properties, labels, split, cost=sweep.best)

    def _network(self, row: Row, labels: list[str], split: np.ndarray) -> Any:
        channels, size = self.crops.shape[1:3]
        draws = np.random.default_rng(self.seed).random(len(split))
        split = np.where((split == TRAIN) & (draws >= self.share), "left out", split)
        layout, recipe = named_model(row.network, len(set(labels)), channels, size)
        return train_network(
            self.crops,
            labels,
            split,
            model=replace(layout, **row.layout),
            recipe=replace(recipe, **row.recipe),
            epochs=row.epochs,
            augmentation=row.augmentation,
            seed=self.seed,
            device="cpu",
            checkpoint=self.folder / "checkpoints",
            on_epoch=lambda epoch: print(
                f"  {int(epoch['epoch'])}: {epoch['train_accuracy']:.3f} in training, "
                f"{epoch['validation_accuracy']:.3f} held out",
                flush=True,
            ),
        )


def _inert_merged(confusion: np.ndarray, classes: tuple[str, ...]) -> float:
    """Accuracy with the inert drugs and the solvent, the study's classes 3, 5 and 8, as one class."""
    inert = np.array([name.lower() in ("erlotinib", "regorafenib", "dmso") for name in classes])
    swapped = confusion[np.ix_(inert, inert)].sum() - np.trace(confusion[np.ix_(inert, inert)])
    return float((np.trace(confusion) + swapped) / confusion.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=3)
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--cells", type=int, default=1200, help="cells per class, both parts")
    parser.add_argument(
        "--share", type=float, default=0.25, help="of the training cells, for networks"
    )
    parser.add_argument("--rows", nargs="+", default=[], help="only rows that start with these")
    parser.add_argument("--folder", type=Path, required=True, help="where results are kept")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    plan = study_plan(arguments.plates, arguments.sites, arguments.seed)
    cells, crops = study_cells(plan, arguments.cells, arguments.seed, arguments.folder)
    study = Study(cells, crops, arguments.folder, arguments.seed, arguments.share)
    print(f"{len(cells)} cells, {study.properties.width} properties", flush=True)
    path = arguments.folder / "results.csv"
    done = pl.read_csv(path) if path.exists() else pl.DataFrame()
    for row in (*NETWORKS, *CLASSICAL):
        if arguments.rows and not row.name.startswith(tuple(arguments.rows)):
            continue
        for by in row.splits:
            if done.height and done.filter(row=row.name, split=by).height:
                continue
            print(f"{row.name}, by {by}", flush=True)
            result = pl.DataFrame([study.judge(row, by)], infer_schema_length=None)
            done = pl.concat([done, result], how="diagonal_relaxed")
            done.write_csv(path)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=60):
        print(done)


if __name__ == "__main__":
    main()
