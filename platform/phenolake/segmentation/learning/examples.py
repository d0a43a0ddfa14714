"""Images with hand-made or simulated label masks, split into parts that never share an image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import TrainingDataError
from phenolake.segmentation.brightness import normalize_brightness
from phenolake.segmentation.label_images import Labels, areas

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Example:
    """One plane of nuclei and its truth.

    Attributes
    ----------
    name
        Which image it is; unique among examples.
    condition
        Group of images made alike (experiment, plate, assay).
    brightness
        float32 (y, x), on the scale of `normalize_brightness`.
    labels
        int32 (y, x), 0 = background.
    """

    name: str
    condition: str
    brightness: NDArray[np.float32]
    labels: Labels

    @property
    def diameter(self) -> float:
        """Diameter of the disc with the median object's area, pixels; 0 without objects."""
        size = areas(self.labels)[1:]
        size = size[size > 0]
        return float(np.sqrt(4 / np.pi * np.median(size))) if size.size else 0.0


def make_example(name: str, condition: str, plane: NDArray, labels: NDArray) -> Example:
    """Check one image with its truth and put its brightness on the common scale.

    Raises
    ------
    TrainingDataError
        If the shapes differ, or the labels are negative or no integers.
    """
    if plane.ndim != 2 or plane.shape != labels.shape:
        raise TrainingDataError(
            f"{name}: image {plane.shape} and mask {labels.shape} must be planes of one shape"
        )
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise TrainingDataError(f"{name}: a mask holds whole numbers from 0 up, one per object")
    names, inverse = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    consecutive = inverse[:-1].reshape(labels.shape).astype(np.int32)
    assert names[0] == 0
    finite = np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return Example(name, condition, normalize_brightness(finite), consecutive)


def read_examples(folder: Path) -> list[Example]:
    """Read a folder of images and label masks; `annotated_images` says which layouts are known.

    Images of no listed condition are grouped by their shape, `520x696`.

    Raises
    ------
    ConfigurationError
        If no image has a mask.
    ImageReadError, MaskShapeError, TrainingDataError
        If a pair can't be used; names the file.
    """
    from phenolake.importing.annotated import UNLISTED, annotated_images

    examples = []
    for entry in annotated_images(folder):
        (plane,), labels = entry.read()
        shape = "x".join(map(str, labels.shape))
        condition = shape if entry.condition == UNLISTED else entry.condition
        examples.append(make_example(entry.name, condition, plane, labels))
    return examples


def split_examples(
    examples: Sequence[Example],
    *,
    seed: int = 0,
    test: float = 0.15,
    validation: float = 0.08,
    left_out: str | None = None,
) -> dict[str, list[Example]]:
    """Deal examples into `PARTS`, by condition so that each part has its share of every one.

    The part of an image depends on its name, its condition's other names and the seed alone.

    Parameters
    ----------
    test, validation
        Share of each condition.
    left_out
        A condition that goes whole to the test part, and nothing else with it.

    Raises
    ------
    TrainingDataError
        If the condition isn't there, two examples share a name, or no example is left to train on.
    """
    names = [example.name for example in examples]
    if len(set(names)) != len(names):
        raise TrainingDataError("two examples have one name")
    conditions = sorted({example.condition for example in examples})
    if left_out is not None and left_out not in conditions:
        raise TrainingDataError(f"no condition {left_out!r}; there are {', '.join(conditions)}")
    parts: dict[str, list[Example]] = {part: [] for part in PARTS}
    for condition in conditions:
        group = [example for example in examples if example.condition == condition]
        if condition == left_out:
            parts["test"] += group
            continue
        group.sort(key=lambda example: _draw(seed, example.name))
        tests = 0 if left_out is not None else round(test * len(group))
        held = tests + round(validation * len(group))
        parts["test"] += group[:tests]
        parts["validation"] += group[tests:held]
        parts["train"] += group[held:]
    if not parts["train"]:
        raise TrainingDataError("the split leaves no example to train on")
    return parts


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def simulated_examples(sites: int, seed: int) -> list[Example]:
    """Nuclei of simulated screens, drugged and not, in and out of focus, with dirt.

    Half of them come from each simulated assay; both have their own plates and wells.
    """
    from phenolake.simulation import SimulationPlan, simulate_site
    from phenolake.simulation.layout import plate_layout

    examples = []
    for number in range(sites):
        preset: Literal["cell_painting", "four_channel_cytotoxicity"] = (
            "four_channel_cytotoxicity" if number % 2 else "cell_painting"
        )
        plan = SimulationPlan(preset=preset, size=512, seed=seed + number)
        wells = list(plate_layout(plan, "P01"))
        well = wells[(number * 37) % len(wells)]
        site = simulate_site(plan, "P01", well.name, 1)
        name = f"simulated_{preset}_{number:04d}"
        # The first stain of each assay is the nuclear one.
        examples.append(make_example(name, f"simulated {preset}", site.image[0], site.nuclei))
    return examples
