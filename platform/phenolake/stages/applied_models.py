"""Which registered models are applied to a screen, and how each has met its wells."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling.labels import TRAIN, VALIDATION
from phenolake.modeling.prediction import LoadedModel, load_model
from phenolake.modeling.rematch import split_of_groups
from phenolake.modeling.tracking import Tracker
from phenolake.modeling.versions import RegisteredVersion
from phenolake.stages.training_sets import WELL_KEYS

#: Tag of a model's run and its value for models of whole fields; others judge cells.
JUDGES, FIELDS = "judges", "fields"


def chosen_models(
    asked_for: Iterable[str], champions_of: Iterable[str], tracker: Tracker
) -> list[LoadedModel]:
    """The models asked for, each version once; or the champions that there are of some names.

    Raises
    ------
    ConfigurationError, UnknownNameError
        If a model that was asked for is none, or is not there.
    """
    found = {tracker.resolve(uri).uri: uri for uri in asked_for}
    if found:
        return [load_model(uri, tracker.tracking_uri) for uri in found]
    champions = []
    for name in champions_of:
        try:
            champions.append(load_model(f"models:/{name}@champion", tracker.tracking_uri))
        except UnknownNameError:
            continue
    return champions


def well_parts(screen: str, tracker: Tracker, model: LoadedModel) -> pl.DataFrame:
    """Which well trained the model and which judged it; none if it was trained on other data."""
    none = pl.DataFrame(schema=dict.fromkeys([*WELL_KEYS, "split"], pl.String))
    if tracker.client.get_run(model.run_id).data.tags.get("screen") != screen:
        return none
    version = RegisteredVersion(model.name, model.version, model.run_id)
    groups = split_of_groups(tracker, version)
    if groups is None:
        return none
    # A model trained in folds has learned from every well in the end.
    part = pl.when(pl.col("split") == VALIDATION).then(pl.col("split")).otherwise(pl.lit(TRAIN))
    return groups.select(*WELL_KEYS, part.alias("split"))


def refuse_models_of_cells(tracker: Tracker, models: Iterable[LoadedModel]) -> None:
    """Refuse models that were not trained on whole fields.

    Raises
    ------
    TrainingDataError
        Names the first one.
    """
    for model in models:
        if tracker.client.get_run(model.run_id).data.tags.get(JUDGES) != FIELDS:
            raise TrainingDataError(
                f"models:/{model.name}/{model.version} judges cells, no whole fields; "
                "name it in the run configuration of model_predictions"
            )
