"""`segment`: label images of nuclei, cells and cytoplasm for one field or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from phenolake.errors import ConfigurationError
from phenolake.segmentation.channels import AUTO, choose_channels
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.methods import PooledSegmenter, resolve_method, segmenter

#: No nucleus of a cultured cell is wider, um; bounds the estimate where the pixel size is known.
_LARGEST_NUCLEUS_UM = 50.0


def segment(
    image: ArrayLike,
    roles: Mapping[str, int],
    method: str = "auto",
    pixel_size_um: float | None = None,
    *,
    nuclei_channel: str | None = None,
    cell_channel: str | None = AUTO,
    nuclear_diameter: float | None = None,
) -> dict[str, Labels]:
    """Label images of the compartments of one field.

    Parameters
    ----------
    image
        Any real dtype, shape (channel, y, x). NaN and infinite pixels count as background.
    roles
        Channel role to index on the first axis, for example `{"DNA": 0, "RNA": 1}`.
    method
        `auto`, `compact`, `compact_mirrored` (slower, the average over mirror images), `classical`
        or `cellpose:<name or path>`; see `resolve_method`.
    pixel_size_um
        Edge of a pixel in the sample, um; keeps the estimated nuclear size within reason.
    nuclei_channel
        Role that shows nuclei; default the first of `NUCLEI_ROLES` there is, else the first role.
    cell_channel
        Role that shows cell bodies; default the first of `CELL_ROLES` there is; None for no cells.
    nuclear_diameter
        Typical nuclear diameter, pixels; estimated from the image if None.

    Returns
    -------
    dict of str to int32 (y, x)
        `Nuclei`, and with a cell channel `Cells` and `Cytoplasm` (cells without nuclei).
        0 is background. Number i is the same cell in all of them; nuclei are numbered 1..n in
        raster order of their first pixel. A cell walled in by others can lack cytoplasm.

    Raises
    ------
    ChannelError
        If the image is not (channel, y, x), or a role has no plane in it.
    UnknownNameError
        If there is no such method or no such channel role.
    CellposeMissingError, ModelFileError
        If Cellpose or its weights can't be used.

    Examples
    --------
    >>> image = np.zeros((1, 64, 64))
    >>> image[0, 20:36, 20:36] = 100
    >>> int(segment(image, {"DNA": 0})["Nuclei"].max())
    1
    """
    name = resolve_method(method).name if method == "auto" else method
    channels = _Choice(roles, nuclei_channel, cell_channel)
    return next(_segmented([image], channels, name, pixel_size_um, nuclear_diameter))


def segment_many(
    images: Iterable[ArrayLike],
    roles: Mapping[str, int],
    method: str = "auto",
    pixel_size_um: float | None = None,
    *,
    nuclei_channel: str | None = None,
    cell_channel: str | None = AUTO,
    nuclear_diameter: float | None = None,
) -> Iterator[dict[str, Labels]]:
    """Yield what `segment` returns for each image in turn.

    Images are read one at a time, or as many as a batch of the method's network takes: tiles of
    several small images share a batch.

    Parameters
    ----------
    images
        Images as `segment` takes them, all with the same channels; sizes may differ.
    roles, method, pixel_size_um, nuclei_channel, cell_channel, nuclear_diameter
        As in `segment`.

    Raises
    ------
    ChannelError, UnknownNameError, CellposeMissingError, ModelFileError
        As in `segment`, when the image at fault is reached.
    """
    name = resolve_method(method).name
    channels = _Choice(roles, nuclei_channel, cell_channel)
    yield from _segmented(images, channels, name, pixel_size_um, nuclear_diameter)


@dataclass(frozen=True)
class _Choice:
    """Which planes are looked at."""

    roles: Mapping[str, int]
    nuclei: str | None
    cells: str | None


def _segmented(
    images: Iterable[ArrayLike],
    choice: _Choice,
    method: str,
    pixel_size_um: float | None,
    diameter: float | None,
) -> Iterator[dict[str, Labels]]:
    for what, value in (("pixel_size_um", pixel_size_um), ("nuclear_diameter", diameter)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ConfigurationError(f"{what} must be above 0, got {value}")
    largest = _LARGEST_NUCLEUS_UM / pixel_size_um if pixel_size_um else None
    run = segmenter(method)
    channels = (
        choose_channels(image, choice.roles, choice.nuclei, choice.cells) for image in images
    )
    if isinstance(run, PooledSegmenter):
        found = run.many(channels, diameter, largest)
    else:
        found = (run(planes, diameter, largest) for planes in channels)
    for nuclei, cells in found:
        yield _compartments(nuclei, cells)


def _compartments(nuclei: Labels, cells: Labels | None) -> dict[str, Labels]:
    if cells is None:
        return {"Nuclei": nuclei}
    return {
        "Nuclei": nuclei,
        "Cells": cells,
        "Cytoplasm": np.where(nuclei > 0, 0, cells).astype(np.int32),
    }
