"""`phenolake models classify`, `predict`, `queue`, `list` and others: classifiers of cells."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from phenolake.errors import NotFoundError, TrainingDataError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

    from phenolake.modeling.scores import ClassificationScores


def train_classifier(
    folder: Path, name: str, label: str, group: str, method: str, folds: int, seed: int
) -> int:
    """Train on a folder of labelled crops, print the held-out scores, register; return 0."""
    from phenolake.modeling import train
    from phenolake.modeling.labelled_crops import read_crop_folder
    from phenolake.modeling.labels import label_names

    crops = read_crop_folder(folder)
    groups = label_names(crops.column(group)).alias(group)
    if missing := groups.null_count():
        raise TrainingDataError(
            f"column {group!r} is empty for {missing} of {len(groups)} cells; fill it in, or leave "
            "them out"
        )
    result = train(
        crops.crops,
        crops.column(label),
        keys=groups.to_frame(group),
        by=group,
        method=method,
        folds=folds or None,
        seed=seed,
        name=name,
        tags={"data": folder.name},
        class_balanced=True,
        report=partial(typer.echo, err=True),
    )
    typer.echo(
        f"{len(result.validation)} cells of held-out values of {group} "
        f"({groups.n_unique()} in all), {folds or 'no'} folds:"
    )
    _show(result.scores)
    if (found := result.tables.get("left_out_classes")) is not None:
        auc = found["auc"].to_numpy()
        typer.echo(
            f"  novelty finds a left-out class with AUC {auc.mean():.3f} on average, "
            f"{auc.min():.3f} to {auc.max():.3f}"
        )
    assert result.registered is not None
    assert result.promotion is not None
    alias = "champion" if result.promotion.promoted else "candidate"
    typer.echo(f"registered: {result.registered.uri} as {alias} ({result.promotion.reason})")
    typer.echo(f'use it: phenolake models predict CROPS --model "models:/{name}@{alias}"')
    return 0


def predict_crops(
    source: Path, model: str, out: Path | None, label: str | None, unknown: bool
) -> int:
    """Classify the crops of a folder or file; write a CSV or Parquet file, or show the counts."""
    import numpy as np

    from phenolake.modeling import classification_scores, load_model, predict
    from phenolake.modeling.labelled_crops import read_crop_folder

    crops = read_crop_folder(source)
    loaded = load_model(model)
    said = predict(crops.crops, loaded, unknown=unknown)
    if crops.index is not None:
        said = crops.index.select(
            name for name in crops.index.columns if name not in said.columns
        ).hstack(said)
    if out is not None:
        _write(said, out)
        typer.echo(f"{said.height} cells: {out}")
    else:
        counts = said["label"].value_counts(sort=True)
        for called, cells in counts.iter_rows():
            typer.echo(f"  {cells:>7}  {called}")
    if label is not None:
        truth = crops.column(label)
        foreign = sorted(set(truth.drop_nulls()) - set(loaded.classes))
        if foreign or truth.null_count():
            raise TrainingDataError(
                f"column {label!r} has cells without a class the model knows: "
                f"{', '.join(foreign[:5]) or 'empty'}"
            )
        probabilities = said.select(f"probability_{name}" for name in loaded.classes).to_numpy()
        codes = np.searchsorted(loaded.classes, truth.to_numpy().astype(str))
        _show(classification_scores(codes, probabilities, loaded.classes))
    return 0


def list_models() -> int:
    """Print every registered model with its versions, aliases and gate metric."""
    from phenolake.modeling import Tracker

    rows = Tracker().versions()
    for row in rows:
        aliases = f" @{', @'.join(row.aliases)}" if row.aliases else ""
        metric = "-" if row.metric is None else f"{row.metric:.4f}"
        typer.echo(f"models:/{row.name}/{row.version}{aliases}  {row.kind}  {metric}  {row.reason}")
    if not rows:
        typer.echo("no model is registered; train one: phenolake models classify --help")
    return 0


def promote_model(model: str, force: bool) -> int:
    """Make a version the champion if it passes the gate; return 0, or 1 if it does not."""
    from phenolake.modeling import Tracker

    tracker = Tracker()
    version = tracker.resolve(model)
    decision = tracker.promote(version.name, version.version, force=force)
    verb = "is champion" if decision.promoted else "stays what it is"
    typer.echo(f"{version.uri} {verb}: {decision.reason}")
    return 0 if decision.promoted else 1


def fetch_model(model: str, out: Path) -> int:
    """Copy a registered model's files into a folder; return 0."""
    from phenolake.modeling import Tracker

    tracker = Tracker()
    out.mkdir(parents=True, exist_ok=True)
    typer.echo(f"{model}: {tracker.fetch(tracker.resolve(model), out)}")
    return 0


def register_model(folder: Path, name: str) -> int:
    """Make a model stored in a folder a candidate of the registry; return 0."""
    from phenolake.modeling import Tracker, read_model
    from phenolake.modeling.versions import check_model_name

    check_model_name(name)
    read_model(folder)  # refuses what can't be used, before anything is recorded
    tracker = Tracker()
    version = tracker.register(name, tracker.log_folder(name, folder, run_name=name))
    typer.echo(f"registered: {version.uri} as candidate")
    return 0


def write_queue(screen: str, out: Path, strategy: str, model: str | None, count: int) -> int:
    """Write the cells of a screen to label next as a CSV file; return 0."""
    from phenolake.lake import Lake
    from phenolake.settings import Settings
    from phenolake.stages.labelling_queues import queue_to_label

    lake = Lake(Settings().tables_uri)
    queue = lake.read("labelling_queue", {"Metadata_Screen": screen})
    if queue.is_empty():
        raise NotFoundError("labelling queue of screen", screen)
    sheet = queue_to_label(queue, strategy, model, count)
    sheet.write_csv(out)
    typer.echo(f"{sheet.height} cells of {sheet['model'][0]} by {strategy}: {out}")
    typer.echo(
        "fill in `label`, put the file into the screen's folder, name it as `annotations` in "
        "screen.yaml and run retrain_job"
    )
    return 0


def _show(scores: ClassificationScores) -> None:
    metrics = scores.metrics
    typer.echo(
        f"  weighted F1 {metrics['weighted_f1']:.3f}, macro F1 {metrics['macro_f1']:.3f}, "
        f"balanced accuracy {metrics['balanced_accuracy']:.3f}, "
        f"calibration error {metrics['calibration_error']:.3f}"
    )
    for name, precision, recall, f1, cells in scores.per_class.iter_rows():
        numbers = "  ".join("    -" if v is None else f"{v:5.3f}" for v in (precision, recall, f1))
        typer.echo(f"  {name:>20}  precision, recall, F1  {numbers}  {cells} cells")


def _write(frame: pl.DataFrame, path: Path) -> None:
    writers = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    if path.suffix not in writers:
        raise UnknownNameError("file type", path.suffix, writers)
    writers[path.suffix](path)  # type: ignore[operator]
