"""Harmony on arrays: soft clusters that mix batches, and shifts of batches cluster by cluster.

Korsunsky et al., Nat. Methods 16:1289 (2019), written from the paper; numpy or torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """
    settings = settings or HarmonySettings()
    order = np.argsort(batches, kind="stable")  # each batch is a run of rows
    work = _Work(points[:, order].T, batches[order], settings, _Backend(backend), centres)
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
        array(work.observed),
        array(work.expected),
        tuple(objective),
    )


class _Backend:
    """The few array functions whose names differ between numpy and torch."""

    def __init__(self, name: str) -> None:
        library, _, device = name.partition(":")
        self.torch: Any = None
        self.device = device or "cpu"
        if library == "torch":
            import torch

            self.torch = torch
        elif library != "numpy":
            from phenolake.errors import UnknownNameError

            raise UnknownNameError("backend", library, ("numpy", "torch"))

    def array(self, values: np.ndarray) -> Any:
        if self.torch is None:
            return values
        return self.torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def to_numpy(self, values: Any) -> np.ndarray:
        plain = values if self.torch is None else values.cpu().numpy()
        return np.asarray(plain, np.float64)

    def exp(self, values: Any) -> Any:
        """Exponential, in the memory of the argument."""
        return np.exp(values, out=values) if self.torch is None else values.exp_()

    def log(self, values: Any) -> Any:
        return np.log(values) if self.torch is None else self.torch.log(values)

    def concatenate(self, parts: list[Any]) -> Any:
        return np.concatenate(parts) if self.torch is None else self.torch.cat(parts)


class _Work:
    """The state of one run. Wells are rows, ordered by batch, so that a batch is one block."""

    def __init__(
        self,
        points: np.ndarray,
        batches: np.ndarray,
        settings: HarmonySettings,
        backend: _Backend,
        centres: np.ndarray | None,
    ) -> None:
        self.settings, self.xp = settings, backend
        self.rng = np.random.default_rng(settings.seed)
        wells = len(points)
        sizes = np.bincount(batches)
        ends = np.cumsum(sizes)
        self.runs = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.batches = batches
        direction = _unit(points)
        if centres is None:
            count = settings.clusters or int(min(max(round(wells / 30), 1), 100))
            first = spherical_kmeans(direction, count, settings.seed)
        else:
            first = centres.T
        # Single precision is enough for weights; sums over wells are made by BLAS.
        single = np.float32
        self.points = backend.array(np.ascontiguousarray(points, single))
        self.corrected = self.points
        self.share = backend.array((sizes / wells).astype(single))
        self.is_of = backend.array(np.eye(sizes.size, dtype=single))
        self.centres = backend.array(_unit(first).astype(single))

    def start(self) -> float:
        """Assign wells to the first centres; returns the objective."""
        direction = _unit(self.corrected)
        cosine = direction @ self.centres.T
        self.members = _normalized(self._closeness(cosine))
        self._count()
        return self._objective(cosine)

    def cluster(self) -> float:
        """Assign wells to clusters until the objective settles; returns the objective."""
        direction = _unit(self.corrected)
        objective = [float("inf")]
        for _ in range(self.settings.cluster_rounds):
            self.centres = _unit(self.members.T @ direction)
            cosine = direction @ self.centres.T
            self._assign(self._closeness(cosine))
            objective.append(self._objective(cosine))
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
        intercept = sum(sums) - sum(s * kept[:, b] for b, s in enumerate(sums))
        weight = self.observed.sum(1) - (self.observed * kept).sum(1)
        intercept = intercept / (weight + (weight <= 0))
        self.shifts = [
            (s - intercept * self.observed[:, b]) / held[:, b] for b, s in enumerate(sums)
        ]
        self.corrected = self.xp.concatenate(
            [
                self.points[run] - self.members[run] @ shift.T
                for run, shift in zip(self.runs, self.shifts, strict=True)
            ]
        )

    def _closeness(self, cosine: Any) -> Any:
        """exp(-distance / sigma) of wells to centres; distance is 2 (1 - cosine)."""
        scale = 2 / self.settings.sigma
        return self.xp.exp(cosine * scale - scale)

    def _count(self) -> None:
        self.observed = self._sums(self.members, self.batches)
        self.expected = self.observed.sum(1)[:, None] * self.share[None, :]

    def _sums(self, members: Any, batches: np.ndarray) -> Any:
        """Sum of weights per cluster and batch, (cluster, batch); rows are ordered by batch."""
        if self.xp.torch is not None:
            return members.T @ self.is_of[batches]
        starts = np.flatnonzero(np.diff(batches, prepend=-1))
        sums = np.zeros((len(self.is_of), members.shape[1]), np.float32)
        sums[batches[starts]] = np.add.reduceat(members, starts)
        return sums.T

    def _assign(self, closeness: Any) -> None:
        """Update the weights a block of wells at a time, so that crowding shows at once."""
        self.members = _normalized(closeness * 1)
        self._count()
        blocks = max(1, round(1 / self.settings.block))
        for rows in np.array_split(self.rng.permutation(self.batches.size), blocks):
            rows = np.sort(rows)
            of = self.batches[rows]
            rest = self.observed - self._sums(self.members[rows], of)
            mass = rest.sum(1)[:, None] * self.share[None, :]
            push = ((mass + 1) / (rest + 1)) ** self.settings.theta
            new = _normalized(closeness[rows] * push.T[of])
            self.members[rows] = new
            self.observed = rest + self._sums(new, of)
        self._count()

    def _objective(self, cosine: Any) -> float:
        """Distances, entropy of the weights, and crowding of batches (the paper's objective)."""
        settings = self.settings
        spread = 2 * (self.members.sum() - (self.members * cosine).sum())
        entropy = (self.members * self.xp.log(self.members + 1e-30)).sum()
        crowding = (
            self.observed * self.xp.log((self.observed + 1) / (self.expected + 1))
        ).sum() * settings.theta
        return float(spread + settings.sigma * (entropy + crowding))


def _unit(rows: Any) -> Any:
    length = (rows * rows).sum(1) ** 0.5
    return rows / (length + (length == 0))[:, None]


def _normalized(weights: Any) -> Any:
    weights /= weights.sum(1)[:, None] + 1e-30
    return weights


def _settled(before: float, after: float, tolerance: float) -> bool:
    return before - after < tolerance * abs(before) if np.isfinite(before) else False
