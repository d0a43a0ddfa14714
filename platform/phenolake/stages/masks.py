"""Segment every site of a plate: rows of `segmentation_masks`, and sites that could not be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from phenolake.compute import Compute
from phenolake.errors import ImageReadError
from phenolake.images.planes import Problem
from phenolake.images.sites import Site, undecodable
from phenolake.lake import CODEC, encode_labels
from phenolake.stages.light import read_corrected


@dataclass(frozen=True)
class SegmentSite:
    """Segments one site; a value that travels to worker processes."""

    method: str
    method_text: str
    model_hash: str | None
    nuclei_channel: str
    cell_channel: str | None
    illumination: Path | None

    def __call__(self, site: Site) -> list[dict[str, object]] | Problem:
        """One row per compartment, or the problem that kept the site from being segmented."""
        return next(self.pooled([site]))

    def pooled(self, sites: Iterable[Site]) -> Iterator[list[dict[str, object]] | Problem]:
        """What a call gives for each site in turn; sites of one plate share a network's batches."""
        from phenolake.segmentation import segment_many

        read: deque[Site | Problem] = deque()

        def images() -> Iterator[np.ndarray]:
            for site in sites:
                try:
                    image = read_corrected(site, self.illumination)
                except ImageReadError as error:
                    read.append(undecodable(site, error))
                else:
                    read.append(site)
                    yield image

        pixels = images()
        first = next(pixels, None)
        if first is not None:
            roles = next(site.channels for site in read if isinstance(site, Site))
            found = segment_many(
                chain([first], pixels),
                {role: number for number, role in enumerate(roles)},
                method=self.method,
                nuclei_channel=self.nuclei_channel,
                cell_channel=self.cell_channel,
            )
            for masks in found:
                while isinstance(read[0], Problem):
                    yield read.popleft()  # type: ignore[misc]
                yield self._rows(read.popleft(), masks)  # type: ignore[arg-type]
        for problem in read:
            assert isinstance(problem, Problem)
            yield problem

    @property
    def shares_batches(self) -> bool:
        """Whether one process with all sites is faster than many with one each: on a GPU it is."""
        if self.model_hash is None:
            return False
        import torch

        from phenolake.segmentation.methods import PooledSegmenter, segmenter

        return torch.cuda.is_available() and isinstance(segmenter(self.method), PooledSegmenter)

    def _rows(self, site: Site, masks: Mapping[str, np.ndarray]) -> list[dict[str, object]]:
        return [
            {
                **site.keys,
                "compartment": compartment,
                "labels": encode_labels(labels),
                "codec": CODEC,
                "height": labels.shape[0],
                "width": labels.shape[1],
                "object_count": int(labels.max(initial=0)),
                "method": self.method_text,
                "model_hash": self.model_hash,
            }
            for compartment, labels in masks.items()
        ]


def segment_plate(
    sites: Iterable[Site], segment_site: SegmentSite, compute: Compute, problems: list[Problem]
) -> Iterator[list[dict[str, object]]]:
    """Rows of each site in order; problems of sites are appended to `problems`.

    A site without cells keeps its empty masks and is reported as `no_cells`.
    """
    pooled = segment_site.shares_batches
    for result in segment_site.pooled(sites) if pooled else compute.map(segment_site, sites):
        if isinstance(result, Problem):
            problems.append(result)
            continue
        first = result[0]
        if first["object_count"] == 0:
            problems.append(
                Problem(
                    "no_cells",
                    "Look at the site; an empty well is fine and yields no profile.",
                    well=str(first["Metadata_Well"]),
                    site=int(str(first["Metadata_Site"])),
                    expected="at least one nucleus",
                    got="none",
                )
            )
        yield result
