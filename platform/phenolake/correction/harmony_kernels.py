"""Compiled loops of Harmony on the CPU: assign wells to clusters, and move k-means centres."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def reassign(closeness, batches, rows, ends, share, theta, members, observed):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Assign wells a block at a time; change `members` and `observed`, return the energy.

    Each block is taken out of the `observed` sums (batch, cluster), assigned by closeness times the
    push towards clusters that hold too little of its batch, and put back. `rows` lists the wells
    block by block and `ends` where each block ends. The energy is the sum over wells of
    sum(members x log push) - log(sum of unscaled weights).
    """
    batch_count, cluster_count = observed.shape
    push, log_push = np.empty_like(observed), np.empty_like(observed)
    mass = np.empty(cluster_count, observed.dtype)
    energy, start = 0.0, 0
    for end in ends:
        for row in rows[start:end]:
            held, member = observed[batches[row]], members[row]
            for k in range(cluster_count):
                held[k] -= member[k]
        mass[:] = 0
        for b in range(batch_count):
            for k in range(cluster_count):
                mass[k] += observed[b, k]
        for b in range(batch_count):
            for k in range(cluster_count):
                crowding = (mass[k] * share[b] + 1) / (observed[b, k] + 1)
                log_push[b, k] = theta * np.log(crowding)
                push[b, k] = np.exp(log_push[b, k])
        for row in rows[start:end]:
            b = batches[row]
            held, member, near = observed[b], members[row], closeness[row]
            total = np.float32(1e-30)
            for k in range(cluster_count):
                member[k] = near[k] * push[b, k]
                total += member[k]
            pushed = np.float32(0)
            for k in range(cluster_count):
                member[k] /= total
                held[k] += member[k]
                pushed += member[k] * log_push[b, k]
            energy += pushed - np.log(total)
        start = end
    return energy


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def gather_nearest(similarity, direction, nearest, sums):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Move wells to their most similar centre; sum their directions there; return how many moved.

    Changes `nearest` (well,) and `sums` (centre, dimension).
    """
    sums[:] = 0
    moved = 0
    for well in range(similarity.shape[0]):
        best = np.argmax(similarity[well])
        moved += best != nearest[well]
        nearest[well] = best
        total, own = sums[best], direction[well]
        for d in range(own.size):
            total[d] += own[d]
    return moved
