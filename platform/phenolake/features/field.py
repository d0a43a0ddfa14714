"""One field of view as measured: checked inputs, and per compartment its objects and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError, MaskShapeError
from phenolake.features.objects import Objects

#: Pixels of a piece of a compartment, save for larger objects.
_PIECE_PIXELS = 1 << 16


@dataclass(frozen=True)
class Image:
    """Channels of one field, (channel, y, x), as acquired; `scale` is the value that counts as 1."""

    pixels: NDArray[np.generic]
    channels: tuple[str, ...]
    scale: float
    pixel_size_um: float | None = None

    @classmethod
    def checked(
        cls,
        pixels: NDArray[np.generic],
        channels: Sequence[str],
        pixel_size_um: float | None = None,
    ) -> Image:
        """Integer images are scaled by their dtype's maximum, as CellProfiler does; floats by 1.

        Raises
        ------
        ConfigurationError
            If the shape does not fit the channels, a name is empty or twice, the dtype is neither
            integer nor float, or a float image holds NaN or infinite values.
        """
        pixels = np.asarray(pixels)
        # TIFF files may hold the other byte order, which compiled code can't read.
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        names = tuple(channels)
        if pixels.ndim != 3 or pixels.shape[0] != len(names):
            raise ConfigurationError(
                f"image of shape {pixels.shape} does not fit {len(names)} channels: "
                "expected (channel, y, x)"
            )
        if len(set(names)) != len(names) or not all(names):
            raise ConfigurationError(f"channel names must differ and not be empty, got {names}")
        if pixel_size_um is not None and not 0 < pixel_size_um < np.inf:
            raise ConfigurationError(f"pixel size must be above 0 um, got {pixel_size_um}")
        if pixels.dtype.kind == "f":
            if not np.isfinite(pixels).all():
                raise ConfigurationError("image holds NaN or infinite values")
            return cls(np.ascontiguousarray(pixels), names, 1.0, pixel_size_um)
        if pixels.dtype.kind not in "iu":
            raise ConfigurationError(f"image must be integer or float, got {pixels.dtype}")
        scale = float(np.iinfo(pixels.dtype.name).max)
        return cls(np.ascontiguousarray(pixels), names, scale, pixel_size_um)

    def plane(self, channel: int) -> NDArray[np.float32]:
        """One channel for filters, scaled, float32 (y, x)."""
        return np.divide(self.pixels[channel], self.scale, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True)
class Compartment:
    """Objects of one mask over one image; pixel lists follow the objects' order.

    What several families need is worked out at first use and kept as long as the compartment.
    """

    name: str
    objects: Objects
    image: Image

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Scaled intensities, shape (channels, pixels)."""
        from phenolake.features.kernels.pixels import gather

        image = self.image
        out = np.empty((image.pixels.shape[0], self.objects.rows.size))
        gather(image.pixels, self.objects.rows, self.objects.cols, image.scale, out)
        return out

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        from phenolake.features.kernels.sorting import sort_doubles, sort_objects

        ordered = np.empty_like(self.values)
        ranks = np.empty(self.values.shape, np.int32)
        dtype, starts = self.image.pixels.dtype, self.objects.starts
        if dtype.itemsize > 4:
            sort_doubles(self.values, starts, ordered, ranks)
        else:
            scale = 0.0 if dtype.kind == "f" else self.image.scale
            sort_objects(self.values, starts, scale, ordered, ranks)
        return ordered, ranks

    @property
    def ordered(self) -> NDArray[np.float64]:
        """Intensities sorted within each object, shape (channels, pixels)."""
        return self._sorted[0]

    @property
    def ranks(self) -> NDArray[np.int32]:
        """Smaller distinct intensities in the same object, shape (channels, pixels)."""
        return self._sorted[1]

    @cached_property
    def pieces(self) -> tuple[Compartment, ...]:
        """The same objects in groups of few enough pixels for the processor's cache.

        What needs only the pixels of each object is measured piece by piece, so that pixel lists
        of a large field are never whole in memory.
        """
        starts, count = self.objects.starts, self.objects.count
        firsts = [0]
        while firsts[-1] < count:
            room = int(np.searchsorted(starts, starts[firsts[-1]] + _PIECE_PIXELS, "right")) - 1
            firsts.append(max(room, firsts[-1] + 1))
        if len(firsts) <= 2:
            return (self,)
        return tuple(
            Compartment(self.name, self.objects.piece(first, last), self.image)
            for first, last in pairwise(firsts)
        )

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean intensity, shape (objects, channels)."""
        from phenolake.features.kernels.intensity import means

        if len(self.pieces) > 1:
            return np.concatenate([piece.means for piece in self.pieces])
        return means(self.values, self.objects.starts)

    def forget_pixels(self) -> None:
        """Drop what is as large as the pixel lists; it is worked out again if asked for."""
        self.forget_intensities()
        for name in ("places", "flags", "inner_edge", "outline", "distances"):
            self.objects.__dict__.pop(name, None)

    def forget_intensities(self) -> None:
        """Drop the lists of intensities."""
        for name in ("values", "_sorted"):
            self.__dict__.pop(name, None)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Positions weighted by intensity, shape (objects, channels, 5); see the kernel."""
        from phenolake.features.kernels.intensity import intensity_positions

        objects = self.objects
        return intensity_positions(self.values, objects.starts, objects.rows, objects.cols)


@dataclass(frozen=True)
class Field:
    """A checked image with the objects of every mask, and all their numbers."""

    image: Image
    compartments: dict[str, Compartment]
    numbers: NDArray[np.int32]

    @classmethod
    def checked(
        cls,
        pixels: NDArray[np.generic],
        channels: Sequence[str],
        masks: Mapping[str, NDArray[np.integer]],
        pixel_size_um: float | None = None,
    ) -> Field:
        """Check everything a caller can get wrong; see `measure`."""
        image = Image.checked(pixels, channels, pixel_size_um)
        if not masks:
            raise ConfigurationError("no masks given, nothing to measure")
        compartments = {}
        for name, mask in masks.items():
            if not name or "_" in name:
                raise ConfigurationError(f"compartment {name!r}: no underscore, and not empty")
            if np.shape(mask) != image.pixels.shape[1:]:
                raise MaskShapeError(f"mask {name}", image.pixels.shape[1:], np.shape(mask))
            compartments[name] = Compartment(name, Objects.of(mask, name), image)
        numbers = np.unique(
            np.concatenate([part.objects.numbers for part in compartments.values()])
        )
        return cls(image, compartments, numbers)
