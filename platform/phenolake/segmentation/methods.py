"""The segmentation methods by name, each behind one interface, and what `auto` means here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from phenolake.errors import UnknownNameError
from phenolake.segmentation.cells import find_cells
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.nuclei import find_nuclei, typical_diameter


class Segmenter(Protocol):
    """Finds nuclei and, where the image has a cell channel, the cells around them."""

    def __call__(
        self, channels: Channels, diameter: float | None, largest: float | None
    ) -> tuple[Labels, Labels | None]:
        """Return nuclei and cells, int32 (y, x), joined by one number.

        `diameter` is the typical nuclear diameter in pixels where it is known; an estimated one
        stays below `largest`.
        """
        ...


@dataclass(frozen=True)
class ResolvedMethod:
    """What will run, why, and the sha256 of the weights where a network runs."""

    name: str
    reason: str
    model_hash: str | None = None


@dataclass(frozen=True)
class Method:
    """A family of segmenters: `<family>` or `<family>:<model>`."""

    build: Callable[[str], Segmenter]
    model_hash: Callable[[str], str | None]
    takes_model: bool = False


def classical(
    channels: Channels, diameter: float | None, largest: float | None
) -> tuple[Labels, Labels | None]:
    """Thresholds, splitting at necks and growth over the cell channel; see `find_nuclei`."""
    nuclei = find_nuclei(channels.nuclei, diameter, largest)
    if channels.cells is None:
        return nuclei, None
    return nuclei, find_cells(channels.cells, nuclei, diameter or typical_diameter(nuclei))


def _cellpose(model: str) -> Segmenter:
    from phenolake.segmentation.cellpose_adapter import CellposeSegmenter

    return CellposeSegmenter.load(model)


def _cellpose_hash(model: str) -> str:
    from phenolake.segmentation.cellpose_weights import checked_weights, sha256_of

    return sha256_of(checked_weights(model))


METHODS: dict[str, Method] = {
    "classical": Method(build=lambda _: classical, model_hash=lambda _: None),
    "cellpose": Method(build=_cellpose, model_hash=_cellpose_hash, takes_model=True),
}
_KNOWN = ("auto", "classical", "cellpose:<name or path>")


def resolve_method(method: str = "auto") -> ResolvedMethod:
    """Say which method a name stands for on this machine, and why.

    `auto` is Cellpose where a GPU and its weights are there, else classical.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    CellposeMissingError
        If Cellpose is asked for and the package or the weights are missing.
    ModelFileError
        If the weights file holds something else.
    """
    if method == "auto":
        from phenolake.segmentation.cellpose_weights import usable_weights

        found, why = usable_weights()
        if found is None:
            return ResolvedMethod("classical", f"auto: {why}")
        return ResolvedMethod(f"cellpose:{found}", f"auto: {why}", _cellpose_hash(found))
    family, model = _parse(method)
    return ResolvedMethod(method, "asked for", METHODS[family].model_hash(model))


@cache
def segmenter(method: str) -> Segmenter:
    """Build the segmenter of a resolved name once in this process; networks stay loaded."""
    family, model = _parse(method)
    return METHODS[family].build(model)


def _parse(method: str) -> tuple[str, str]:
    family, colon, model = method.partition(":")
    known = METHODS.get(family)
    if known is None or known.takes_model != bool(colon and model):
        raise UnknownNameError("segmentation method", method, _KNOWN)
    return family, model
