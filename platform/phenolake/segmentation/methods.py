"""The segmentation methods by name, each behind one interface, and what `auto` means here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from phenolake.errors import UnknownNameError
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.label_images import Labels


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


@runtime_checkable
class PooledSegmenter(Segmenter, Protocol):
    """A segmenter whose network works on tiles of several images at once."""

    def many(
        self, images: Iterable[Channels], diameter: float | None, largest: float | None
    ) -> Iterator[tuple[Labels, Labels | None]]:
        """Yield what a call gives for each image in turn, reading images as batches need them."""
        ...


@dataclass(frozen=True)
class ResolvedMethod:
    """What will run, why, and where a network runs the sha256 and the licence of its weights."""

    name: str
    reason: str
    model_hash: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Method:
    """A family of segmenters: `<family>` where no model is needed, `<family>:<model>` with one."""

    build: Callable[[str], Segmenter]
    model_hash: Callable[[str], str | None]
    takes_model: bool = False
    needs_model: bool = False
    licence: Callable[[str], str | None] = lambda _: None


def _classical(settings: str) -> Segmenter:
    from phenolake.segmentation.classical import ClassicalSegmenter

    return ClassicalSegmenter.load(settings)


def _cellpose(model: str) -> Segmenter:
    from phenolake.segmentation.cellpose_adapter import CellposeSegmenter

    return CellposeSegmenter.load(model)


def _cellpose_hash(model: str) -> str:
    from phenolake.segmentation.cellpose_weights import checked_weights, sha256_of

    return sha256_of(checked_weights(model))


def _cellpose_licence(model: str) -> str:
    from phenolake.segmentation.cellpose_sources import licence_of

    return licence_of(model)


def _compact(model: str) -> Segmenter:
    from phenolake.segmentation.compact import CompactSegmenter

    return CompactSegmenter.load(_compact_weights(model))


def _compact_mirrored(model: str) -> Segmenter:
    from phenolake.segmentation.compact import CompactSegmenter

    return CompactSegmenter.load(_compact_weights(model), flips=True)


def _compact_hash(model: str) -> str:
    from phenolake.segmentation.cellpose_weights import sha256_of

    return sha256_of(_compact_weights(model))


def _compact_weights(model: str) -> Path:
    """File of the weights: shipped ones without a name, a file, or a registered model."""
    from phenolake.segmentation.compact_weights import SHIPPED, weights_file

    return weights_file(model) if model else SHIPPED


METHODS: dict[str, Method] = {
    "compact": Method(build=_compact, model_hash=_compact_hash, takes_model=True),
    "compact_mirrored": Method(build=_compact_mirrored, model_hash=_compact_hash, takes_model=True),
    "classical": Method(_classical, model_hash=lambda _: None, takes_model=True),
    "cellpose": Method(
        _cellpose,
        _cellpose_hash,
        takes_model=True,
        needs_model=True,
        licence=_cellpose_licence,
    ),
}
_KNOWN = (
    "auto",
    "compact",
    "compact:<file or models:/name@alias>",
    "compact_mirrored",
    "classical",
    "classical:<settings>",
    "cellpose:<name or path>",
)


def resolve_method(method: str = "auto") -> ResolvedMethod:
    """Say which method a name stands for on this machine, and why.

    `auto` is Cellpose where a GPU and its weights are there, else compact.

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
            return ResolvedMethod("compact", f"auto: {why}", _compact_hash(""))
        return _resolved(f"cellpose:{found}", f"auto: {why}")
    return _resolved(method, "asked for")


def _resolved(method: str, reason: str) -> ResolvedMethod:
    family, model = _parse(method)
    known = METHODS[family]
    return ResolvedMethod(method, reason, known.model_hash(model), known.licence(model))


@cache
def segmenter(method: str) -> Segmenter:
    """Build the segmenter of a resolved name once in this process; networks stay loaded."""
    family, model = _parse(method)
    return METHODS[family].build(model)


def _parse(method: str) -> tuple[str, str]:
    family, colon, model = method.partition(":")
    known = METHODS.get(family)
    if (
        known is None
        or (colon and not model)
        or (model and not known.takes_model)
        or (known.needs_model and not model)
    ):
        raise UnknownNameError("segmentation method", method, _KNOWN)
    return family, model
