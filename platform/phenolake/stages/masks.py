"""Segment every site of a plate: rows of `segmentation_masks`, and sites that could not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
        from phenolake.segmentation import segment

        try:
            image = read_corrected(site, self.illumination)
        except ImageReadError as error:
            return undecodable(site, error)
        masks = segment(
            image,
            {role: number for number, role in enumerate(site.channels)},
            method=self.method,
            nuclei_channel=self.nuclei_channel,
            cell_channel=self.cell_channel,
        )
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
    for result in compute.map(segment_site, sites):
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
