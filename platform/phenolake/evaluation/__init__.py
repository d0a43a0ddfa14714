"""Published figures of merit: assay quality, retrieval, mechanism, replicates, batches, masks."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "activity": ["grit", "induction"],
        "assay_quality": ["ssmd", "v_factor", "z_prime"],
        "batches": ["BatchScores", "batch_scores", "compare_corrections"],
        "clusters": ["Clusters", "cluster_profiles", "similarity_table"],
        "confidence": ["Interval", "bootstrap_interval"],
        "mechanism": ["MoaAccuracy", "moa_accuracy"],
        "mixing": ["graph_connectivity", "kbet_acceptance", "local_diversity"],
        "replicability": ["Replicability", "percent_replicating", "replicate_reproducibility"],
        "retrieval": ["MeanAveragePrecision", "mean_average_precision"],
        "segmentation": ["segmentation_scores"],
    },
)
