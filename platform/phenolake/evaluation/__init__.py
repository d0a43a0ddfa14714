"""Published figures of merit: assay quality, retrieval, mechanism, replicates, batches, masks."""

from __future__ import annotations

import importlib

_MODULE_OF = {
    "BatchScores": "batches",
    "Clusters": "clusters",
    "Interval": "confidence",
    "MeanAveragePrecision": "retrieval",
    "MoaAccuracy": "mechanism",
    "Replicability": "replicability",
    "batch_scores": "batches",
    "bootstrap_interval": "confidence",
    "cluster_profiles": "clusters",
    "compare_corrections": "batches",
    "graph_connectivity": "mixing",
    "grit": "activity",
    "induction": "activity",
    "kbet_acceptance": "mixing",
    "local_diversity": "mixing",
    "mean_average_precision": "retrieval",
    "moa_accuracy": "mechanism",
    "percent_replicating": "replicability",
    "replicate_reproducibility": "replicability",
    "segmentation_scores": "segmentation",
    "similarity_table": "clusters",
    "ssmd": "assay_quality",
    "v_factor": "assay_quality",
    "z_prime": "assay_quality",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]
