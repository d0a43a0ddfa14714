"""Label images from probability maps of a pixel classifier such as ilastik: threshold, then split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phenolake.errors import ConfigurationError, ImageReadError
from phenolake.segmentation.flooding import split_at_necks
from phenolake.segmentation.label_images import Labels, areas, fill_holes, keep, renumber

#: Where ilastik's HDF5 export keeps its array.
_DATASET = "exported_data"
_MAX_CLASSES = 32
#: Passes higher than this part of the lower peak don't part two objects.
_NECK = 0.9


@dataclass(frozen=True)
class ProbabilityRule:
    """How a probability map becomes objects.

    Attributes
    ----------
    foreground
        Class that is the object, counted from 1 as ilastik counts its labels.
    threshold
        Probability from which a pixel belongs to an object.
    smallest
        Objects with fewer pixels are dropped.
    """

    foreground: int = 1
    threshold: float = 0.5
    smallest: int = 20

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        if self.foreground < 1 or self.smallest < 0 or not 0 < self.threshold < 1:
            raise ConfigurationError(
                "probability maps: foreground is 1 or more, threshold between 0 and 1, got "
                f"{self.foreground} and {self.threshold}"
            )


def is_probability_map(path: Path) -> bool:
    """Tell by its name whether a file is a probability map, as ilastik names its exports."""
    return "probabilit" in path.name.casefold() and path.suffix.lower() in (
        ".h5",
        ".hdf5",
        ".npy",
        ".tif",
        ".tiff",
    )


def labels_of_probabilities(path: Path, rule: ProbabilityRule) -> Labels:
    """Objects of a probability map, int32 (y, x), 1..n in raster order.

    Raises
    ------
    ImageReadError
        If the file can't be read, is no map (y, x) with at most 32 classes on one axis, or has no
        such class.
    """
    foreground = _foreground(_read(path), rule.foreground, path)
    mask = fill_holes(foreground >= rule.threshold, 10 * max(rule.smallest, 1))
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    labels = split_at_necks(ndimage.gaussian_filter(depth, 1.0), mask, _NECK, 0.5)
    return renumber(keep(labels, areas(labels) >= rule.smallest))


def _foreground(stack: NDArray, number: int, path: Path) -> NDArray[np.float32]:
    """Plane of one class, 0 to 1; the classes lie on the shortest of three axes."""
    stack = np.squeeze(stack)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or min(stack.shape) > _MAX_CLASSES or stack.dtype.kind not in "fu":
        raise ImageReadError(
            str(path),
            f"{stack.dtype} of shape {stack.shape} is no probability map (y, x, class)",
        )
    # ilastik writes the classes last; on a tie the last axis is taken.
    axis = 2 - int(np.argmin(stack.shape[::-1]))
    if number > stack.shape[axis]:
        raise ImageReadError(
            str(path), f"has {stack.shape[axis]} class(es), so there is no class {number}"
        )
    plane = np.take(stack, number - 1, axis).astype(np.float32)
    if stack.dtype.kind == "u":
        plane /= np.iinfo(stack.dtype).max
    plane = np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)
    if plane.size and (plane.min() < 0 or plane.max() > 1.0001):
        raise ImageReadError(str(path), "holds values that are no probabilities (0 to 1)")
    return plane


def _read(path: Path) -> NDArray:
    try:
        if path.suffix.lower() in (".h5", ".hdf5"):
            return _read_hdf5(path)
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        import tifffile

        return np.asarray(tifffile.imread(path))
    except ImageReadError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        reason = " ".join(str(error).split())
        raise ImageReadError(str(path), f"can't be read as a probability map: {reason}") from error


def _read_hdf5(path: Path) -> NDArray:
    try:
        import h5py  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise ImageReadError(
            str(path),
            "reading HDF5 needs h5py: `pip install 'phenolake[hdf5]'`, or export from ilastik as TIFF or npy",
        ) from None
    with h5py.File(path, "r") as file:
        names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
        name = _DATASET if _DATASET in names else (names[0] if len(names) == 1 else None)
        if name is None:
            raise ImageReadError(str(path), f"expected a data set {_DATASET!r}, found {names}")
        if file[name].nbytes > 8 * 1024**3:
            raise ImageReadError(str(path), f"a data set of shape {file[name].shape} is too large")
        return np.asarray(file[name])
