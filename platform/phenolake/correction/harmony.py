"""Harmony on arrays: soft clusters that mix batches, and shifts of batches cluster by cluster.

Korsunsky et al., Nat. Methods 16:1289 (2019), written from the paper; numpy or torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from phenolake.correction.harmony_backends import Backend, backend_named
from phenolake.correction.spherical_kmeans import spherical_kmeans


@dataclass(frozen=True)
class HarmonySettings:
    """Parameters of the paper.

    Attributes
    ----------
    clusters
        Soft clusters; None takes wells / 30, at most 100.
    theta
        How strongly a cluster is pushed to hold all batches; 0 does not push.
    sigma
        Softness of the clusters.
    ridge
        Penalty on the shift of a batch in a cluster; None takes `alpha` times the wells of the
        batch that the cluster would hold by chance.
    rounds, cluster_rounds
        Most rounds of clustering and correction, and of clustering within one.
    block
        Share of the wells that is assigned at once.
    tolerance, cluster_tolerance
        Relative change of the objective that ends the rounds.
    seed
        For the first centres and the order of wells.
    """

    clusters: int | None = None
    theta: float = 2.0
    sigma: float = 0.1
    ridge: float | None = None
    alpha: float = 0.2
    rounds: int = 10
    cluster_rounds: int = 4
    block: float = 0.05
    tolerance: float = 1e-2
    cluster_tolerance: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class HarmonyFit:
    """Result of `harmonize`, numpy float64.

    Attributes
    ----------
    corrected
        (dimension, well).
    centres
        Directions of the clusters, unit length, (dimension, cluster).
    members
        Weight of each well in each cluster, (cluster, well); columns sum to 1.
    shifts
        What is taken from a full member, (batch, dimension, cluster).
    observed, expected
        Sums of weights per cluster and batch, found and by chance, (cluster, batch).
    objective
        At the start and after each round.
    """

    corrected: np.ndarray
    centres: np.ndarray
    members: np.ndarray
    shifts: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    objective: tuple[float, ...]


def harmonize(
    points: np.ndarray,
    batches: np.ndarray,
    settings: HarmonySettings | None = None,
    backend: str = "numpy",
    centres: np.ndarray | None = None,
) -> HarmonyFit:
    """Points in which every cluster holds all batches.

    Parameters
    ----------
    points
        float64, shape (dimension, well), usually principal components.
    batches
        Whole numbers from 0, shape (well,).
    settings
        See `HarmonySettings`.
    backend
        `numpy`, or `torch` with an optional device: `torch:cuda`.
    centres
        First cluster centres, (dimension, cluster); None finds them by k-means on unit vectors.

    References
    ----------
    Korsunsky et al., Nat. Methods 16:1289 (2019).
    """
    settings = settings or HarmonySettings()
    order = np.argsort(batches, kind="stable")  # each batch is a run of rows
    work = _Work(points[:, order].T, batches[order], settings, backend_named(backend), centres)
    objective = [work.start()]
    for _ in range(settings.rounds):
        objective.append(work.cluster())
        work.correct()
        if _settled(objective[-2], objective[-1], settings.tolerance):
            break
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    array = work.xp.to_numpy
    return HarmonyFit(
        array(work.corrected)[back].T,
        array(work.centres).T,
        array(work.members)[back].T,
        np.stack([array(shift) for shift in work.shifts]),
        array(work.observed).T,
        array(work.expected).T,
        tuple(objective),
    )


class _Work:
    """The state of one run. Wells are rows, ordered by batch, so that a batch is one block."""

    def __init__(
        self,
        points: np.ndarray,
        batches: np.ndarray,
        settings: HarmonySettings,
        backend: Backend,
        centres: np.ndarray | None,
    ) -> None:
        self.settings, self.xp = settings, backend
        self.rng = np.random.default_rng(settings.seed)
        wells = len(points)
        sizes = np.bincount(batches)
        ends = np.cumsum(sizes)
        self.runs = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.batches = batches
        # Single precision is enough for weights; sums over wells are made by BLAS.
        points = np.ascontiguousarray(points, np.float32)
        if centres is None:
            count = settings.clusters or int(min(max(round(wells / 30), 1), 100))
            first = spherical_kmeans(_unit(points), count, settings.seed)
        else:
            first = centres.T
        self.points = backend.array(points)
        self.corrected = self.points
        self.share = backend.array((sizes / wells).astype(np.float32))
        self.centres = backend.array(_unit(first).astype(np.float32))

    def start(self) -> float:
        """Assign wells to the first centres; returns the objective."""
        self.members = self._closeness(_unit(self.corrected))
        total = self.members.sum(1) + 1e-30
        self.members /= total[:, None]
        self.observed = self.xp.sums_by_batch(self.members, self.batches, len(self.runs))
        return self._objective(-float(self.xp.log(total).sum()))

    def cluster(self) -> float:
        """Assign wells to clusters until the objective settles; returns the objective."""
        direction = _unit(self.corrected)
        objective = [float("inf")]
        for _ in range(self.settings.cluster_rounds):
            self.centres = _unit(self.members.T @ direction)
            objective.append(self._objective(self._assign(self._closeness(direction))))
            if _settled(objective[-2], objective[-1], self.settings.cluster_tolerance):
                break
        return objective[-1]

    def correct(self) -> None:
        """Take each cluster's batch shifts away, by weighted ridge regression on the batch.

        With one batch variable the normal equations are an arrow: the intercept has a closed form,
        and each batch's shift follows from it.
        """
        sums = [self.points[run].T @ self.members[run] for run in self.runs]  # (d, K) each
        ridge: Any = self.settings.ridge
        if ridge is None:
            ridge = self.settings.alpha * self.expected
        held = self.observed + ridge
        # A cluster that holds nothing of a batch has nothing to shift there.
        held = held + (held == 0)
        kept = self.observed / held
        intercept = sum(s * (1 - kept[b]) for b, s in enumerate(sums))
        weight = (self.observed * (1 - kept)).sum(0)
        intercept = intercept / (weight + (weight <= 0))
        self.shifts = [(s - intercept * self.observed[b]) / held[b] for b, s in enumerate(sums)]
        self.corrected = self.xp.concatenate(
            [
                self.points[run] - self.members[run] @ shift.T
                for run, shift in zip(self.runs, self.shifts, strict=True)
            ]
        )

    @property
    def expected(self) -> Any:
        """Sums of weights by chance, (batch, cluster)."""
        return self.share[:, None] * self.observed.sum(0)

    def _closeness(self, direction: Any) -> Any:
        """exp(-distance / sigma) of wells to centres; distance is 2 (1 - cosine)."""
        scale = 2 / self.settings.sigma
        exponent = direction @ (scale * self.centres).T
        exponent -= scale
        return self.xp.exp(exponent)

    def _assign(self, closeness: Any) -> float:
        """Update the weights a block of wells at a time, so that crowding shows at once."""
        # Rounding errors of the blocks' sums don't add up: each pass starts from a fresh count.
        self.observed = self.xp.sums_by_batch(self.members, self.batches, len(self.runs))
        blocks = max(1, round(1 / self.settings.block))
        parts = np.array_split(self.rng.permutation(self.batches.size), blocks)
        return self.xp.reassign(
            closeness,
            self.batches,
            [np.sort(rows) for rows in parts],
            self.share,
            self.settings.theta,
            self.members,
            self.observed,
        )

    def _objective(self, energy: float) -> float:
        """Distances, entropy of the weights, and crowding of batches (the paper's objective).

        A weight is closeness times push over a total, so its logarithm is a sum: the distances
        cancel against the entropy, and what is left of both is the energy of `reassign`.
        """
        crowding = self.observed * self.xp.log((self.observed + 1) / (self.expected + 1))
        return self.settings.sigma * (energy + self.settings.theta * float(crowding.sum()))


def _unit(rows: Any) -> Any:
    length = (rows * rows).sum(1) ** 0.5
    return rows / (length + (length == 0))[:, None]


def _settled(before: float, after: float, tolerance: float) -> bool:
    return before - after < tolerance * abs(before) if np.isfinite(before) else False
