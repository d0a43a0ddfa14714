"""Every kind of model as plain parts: a description for JSON and named arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from phenolake.modeling.classical import BoostedTrees, LinearClassifier
from phenolake.modeling.classical.feature_matrix import FeatureColumns
from phenolake.modeling.classical.scaling import Scaling
from phenolake.modeling.classical.tree_arrays import NODE_ARRAYS
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.ensemble import Ensemble
from phenolake.modeling.forest import Forest
from phenolake.modeling.joint_novelty import JointNovelty
from phenolake.modeling.measured_crops import MeasuredCrops
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.networks import layout_from_dict
from phenolake.modeling.novelty import NoveltyReference
from phenolake.modeling.nucleus_encoder import NucleusEncoder
from phenolake.modeling.trained_network import TrainedNetwork

Model = Forest | LinearClassifier | BoostedTrees | TrainedNetwork | MeasuredCrops | Ensemble
Description = dict[str, Any]
Arrays = dict[str, np.ndarray]


def description_of(model: Model | Encoder) -> Description:
    """Return everything of a model that is no array, ready for JSON; `kind` says which it is."""
    return {"kind": model.kind, **_DESCRIPTIONS[model.kind](model)}


def arrays_of(model: Model | Encoder) -> Arrays:
    """Return the arrays of a model by name, in C order."""
    arrays: Arrays = _ARRAYS[model.kind](model)
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


def model_of(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Model | Encoder:
    """Return the model that gave these parts.

    Raises
    ------
    KeyError, TypeError, ValueError, IndexError, ModelFileError, ConfigurationError
        If parts are missing or can't be those of a model.
    """
    return _READERS[description["kind"]](description, arrays)


def _inner(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays whose names start with a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _outer(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {prefix + name: value for name, value in arrays.items()}


def _novelty_arrays(model: Model) -> Arrays:
    return _outer("novelty.", vars(model.novelty))


def _novelty(arrays: Mapping[str, np.ndarray]) -> NoveltyReference:
    return NoveltyReference(**_inner("novelty.", arrays))


def _forest_description(model: Forest) -> Description:
    return {"classes": model.classes, "settings": model.settings, "features": model.features}


def _forest_arrays(model: Forest) -> Arrays:
    plain = ("medians", "roots", "leaf_values", "importances")
    return {
        **_novelty_arrays(model),
        **{name: getattr(model, name) for name in plain},
        **_outer("nodes.", model.nodes),
    }


def _forest(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Forest:
    plain = ("medians", "roots", "leaf_values", "importances")
    return Forest(
        classes=tuple(description["classes"]),
        features=tuple(description["features"]),
        nodes={name: arrays[f"nodes.{name}"] for name in NODE_ARRAYS},
        novelty=_novelty(arrays),
        settings=description["settings"],
        **{name: arrays[name] for name in plain},
    )


def _columns_description(model: LinearClassifier | BoostedTrees) -> Description:
    return {"classes": model.classes, "settings": model.settings, "features": model.columns.names}


def _columns(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FeatureColumns:
    columns = FeatureColumns(tuple(description["features"]), arrays["medians"])
    if columns.medians.shape != (len(columns.names),):
        raise ValueError("medians and features differ in number")
    return columns


def _linear_arrays(model: LinearClassifier) -> Arrays:
    return {
        **_novelty_arrays(model),
        "medians": model.columns.medians,
        "scaling": model.scaling.table,
        **{name: getattr(model, name) for name in ("weights", "offsets", "axes")},
    }


def _linear(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LinearClassifier:
    columns = _columns(description, arrays)
    model = LinearClassifier(
        classes=tuple(description["classes"]),
        columns=columns,
        scaling=Scaling(arrays["scaling"]),
        novelty=_novelty(arrays),
        settings=description["settings"],
        **{name: arrays[name] for name in ("weights", "offsets", "axes")},
    )
    if model.weights.shape != (len(columns.names), len(model.classes)):
        raise ValueError("weights fit neither features nor classes")
    return model


def _boosting_arrays(model: BoostedTrees) -> Arrays:
    return {
        **_novelty_arrays(model),
        "medians": model.columns.medians,
        **{name: getattr(model, name) for name in ("roots", "leaf_values", "baseline")},
        **_outer("nodes.", model.nodes),
    }


def _boosting(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> BoostedTrees:
    return BoostedTrees(
        classes=tuple(description["classes"]),
        columns=_columns(description, arrays),
        nodes={name: arrays[f"nodes.{name}"] for name in NODE_ARRAYS},
        novelty=_novelty(arrays),
        settings=description["settings"],
        **{name: arrays[name] for name in ("roots", "leaf_values", "baseline")},
    )


def _body_description(model: TrainedNetwork | Encoder) -> Description:
    return {
        "settings": model.settings,
        "architecture": model.architecture.as_dict(),
        "full_scale": model.full_scale,
        "history": model.history,
    }


def _body_arrays(model: TrainedNetwork | Encoder) -> Arrays:
    return {"mean": model.mean, "sd": model.sd, **_outer("state.", model.state)}


def _body(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "architecture": layout_from_dict(description["architecture"]),
        "state": _inner("state.", arrays),
        "mean": arrays["mean"],
        "sd": arrays["sd"],
        **{name: description[name] for name in ("history", "settings", "full_scale")},
    }


def _encoder(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Encoder:
    return Encoder(**_body(description, arrays))


def _network_description(model: TrainedNetwork) -> Description:
    return {"classes": model.classes, **_body_description(model)}


def _network_arrays(model: TrainedNetwork) -> Arrays:
    return {**_novelty_arrays(model), **_body_arrays(model)}


def _network(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TrainedNetwork:
    model = TrainedNetwork(
        classes=tuple(description["classes"]),
        novelty=_novelty(arrays),
        **_body(description, arrays),
    )
    if len(model.classes) != model.architecture.classes:
        raise ValueError("classes and output layer differ")
    return model


def _measured_description(model: MeasuredCrops) -> Description:
    return {
        "shape": model.shape,
        "full_scale": model.full_scale,
        "encoder": None if model.encoder is None else {"widths": model.encoder.widths},
        "model": description_of(model.model),
    }


def _measured_arrays(model: MeasuredCrops) -> Arrays:
    encoder = {} if model.encoder is None else _outer("encoder.", model.encoder.state)
    return {**_outer("model.", arrays_of(model.model)), **encoder}


def _measured(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MeasuredCrops:
    channels, height, width = description["shape"]
    inner: Any = model_of(description["model"], _inner("model.", arrays))
    # Models stored before there was an encoder don't mention one.
    told = description.get("encoder")
    encoder = told and NucleusEncoder(tuple(told["widths"]), _inner("encoder.", arrays))
    return MeasuredCrops(inner, (channels, height, width), description["full_scale"], encoder)


def _ensemble_description(model: Ensemble) -> Description:
    return {
        "members": [description_of(member) for member in model.members],
        **{name: getattr(model, name) for name in ("temperature", "unknown_above", "settings")},
        "views": model.views,
    }


def _ensemble_arrays(model: Ensemble) -> Arrays:
    novelty = model.novelty
    if isinstance(novelty, JointNovelty):
        arrays: Arrays = {"novelty.known": novelty.known}
        for number, part in enumerate(novelty.parts):
            arrays |= _outer(f"novelty.{number}.", vars(part))
    else:
        arrays = _novelty_arrays(model)
    for number, member in enumerate(model.members):
        arrays |= _outer(f"members.{number}.", arrays_of(member))
    return arrays


def _ensemble(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Ensemble:
    members: list[Any] = [
        model_of(member, _inner(f"members.{number}.", arrays))
        for number, member in enumerate(description["members"])
    ]
    settings = ("temperature", "unknown_above", "settings")
    return Ensemble(
        tuple(members),
        _any_novelty(_inner("novelty.", arrays)),
        **{name: description[name] for name in settings},
        views=tuple(description.get("views", ())),
    )


def _any_novelty(arrays: Arrays) -> NoveltyReference | NeighbourNovelty | JointNovelty:
    if "directions" in arrays:
        return NeighbourNovelty(**arrays)
    if "centres" in arrays:
        return NoveltyReference(**arrays)
    numbers = range(len({name.split(".")[0] for name in arrays} - {"known"}))
    parts = (NeighbourNovelty(**_inner(f"{number}.", arrays)) for number in numbers)
    return JointNovelty(tuple(parts), arrays["known"])


_DESCRIPTIONS: Mapping[str, Callable[[Any], Description]] = {
    Forest.kind: _forest_description,
    LinearClassifier.kind: _columns_description,
    BoostedTrees.kind: _columns_description,
    TrainedNetwork.kind: _network_description,
    Encoder.kind: _body_description,
    MeasuredCrops.kind: _measured_description,
    Ensemble.kind: _ensemble_description,
}
_ARRAYS: Mapping[str, Callable[[Any], Arrays]] = {
    Forest.kind: _forest_arrays,
    LinearClassifier.kind: _linear_arrays,
    BoostedTrees.kind: _boosting_arrays,
    TrainedNetwork.kind: _network_arrays,
    Encoder.kind: _body_arrays,
    MeasuredCrops.kind: _measured_arrays,
    Ensemble.kind: _ensemble_arrays,
}
_Reader = Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], Model | Encoder]
_READERS: Mapping[str, _Reader] = {
    Forest.kind: _forest,
    LinearClassifier.kind: _linear,
    BoostedTrees.kind: _boosting,
    TrainedNetwork.kind: _network,
    Encoder.kind: _encoder,
    MeasuredCrops.kind: _measured,
    Ensemble.kind: _ensemble,
}
