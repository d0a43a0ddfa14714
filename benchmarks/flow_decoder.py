"""Masks from flows: phenolake against cellpose.dynamics.compute_masks on the same fields.

Run with `python benchmarks/flow_decoder.py [--quick]`; needs the `cellpose` extra. Prints CPU
seconds of both on one thread, taken in turns in one run, the ratio of the medians, and how well
the masks agree.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests" / "segmentation")]

from flow_fields import packed_cells, predicted  # noqa: E402

from phenolake.evaluation.segmentation import segmentation_scores  # noqa: E402
from phenolake.segmentation.flow_decoder import labels_from_flows  # noqa: E402

#: Size of the field, cells in it, noise of the flows.
CASES = {
    "1080 x 1080, 150 cells": (1080, 150, 0.3),
    "520 x 696-sized, 120 nuclei": (602, 120, 0.3),
    "1080 x 1080, flows near the check's limit": (1080, 150, 0.42),
    "1080 x 1080, 1500 nuclei": (1080, 1500, 0.3),
}


def seconds(function, *arguments, **options):
    """CPU seconds of one call, and its result."""
    start = time.process_time()
    result = function(*arguments, **options)
    return time.process_time() - start, result


def compare(name: str, rounds: int, check: float) -> None:
    """Print one line for one kind of field."""
    import torch
    from cellpose.dynamics import compute_masks

    torch.set_num_threads(1)
    size, count, noise = CASES[name]
    flows, logits = predicted(packed_cells(size, count), seed=1, noise=noise)
    theirs_s, ours_s = [], []
    for _ in range(rounds):
        spent, theirs = seconds(compute_masks, 5 * flows, logits, flow_threshold=check, min_size=15)
        theirs_s.append(spent)
        spent, ours = seconds(labels_from_flows, flows, logits, flow_threshold=check)
        ours_s.append(spent)
    them, us = statistics.median(theirs_s), statistics.median(ours_s)
    scores = segmentation_scores(theirs.astype(np.int32), ours, [0.9, 0.99])["f1"]
    print(
        f"{name:42} check {'on ' if check else 'off'} objects {theirs.max():5} / {ours.max():5}  "
        f"cellpose {them:7.2f} s  phenolake {us:6.3f} s  {them / us:6.1f} x  "
        f"F1 at 0.9 {scores[0]:.4f}, at 0.99 {scores[1]:.4f}",
        flush=True,
    )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first field only, one round")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    labels_from_flows(*predicted(packed_cells(64, 4)))  # compiled, or read from the cache
    for name in list(CASES)[: 1 if quick else None]:
        for check in (0.4, 0.0):
            compare(name, 1 if quick else 3, check)


if __name__ == "__main__":
    main()
