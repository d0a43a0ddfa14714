"""What to look at after a training: its curves, and outlines found on images it was judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from phenolake.pictures.loss_curves import loss_curves
from phenolake.pictures.overlay import outlines_montage
from phenolake.segmentation.learning.examples import Example
from phenolake.segmentation.learning.judging import Finder

CURVES = "curves.png"
OVERLAYS = "overlays.png"
_SHOWN = 6


def write_pictures(
    folder: Path,
    history: Sequence[Mapping[str, float]],
    judged_on: Sequence[Example],
    find: Finder,
) -> None:
    """Write `curves.png` of the training and `overlays.png` of a few images it was judged on."""
    (folder / CURVES).write_bytes(loss_curves(history))
    shown = judged_on[:_SHOWN]
    overlays = outlines_montage(
        [example.brightness for example in shown],
        [{"Nuclei": find(example.brightness)} for example in shown],
        [example.name for example in shown],
    )
    (folder / OVERLAYS).write_bytes(overlays)
