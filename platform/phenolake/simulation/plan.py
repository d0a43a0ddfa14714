"""What to simulate: preset, plates, wells, sites and seed, checked on construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.identity import PLATE_FORMATS, checked_name

PRESET_NAMES = ("cell_painting", "four_channel_cytotoxicity")
_PLATE_SIZES = (96, 384, 1536)


@dataclass(frozen=True)
class SimulationPlan:
    """A synthetic screen; equal plans give equal bytes.

    Attributes
    ----------
    preset
        `cell_painting` or `four_channel_cytotoxicity`.
    plates
        Number of plates. They are replicates of one layout unless `shuffle_layout` is set.
    wells
        Plate format: 96, 384 or 1536.
    sites
        Fields of view per well.
    seed
        The one source of randomness.
    size
        Edge of the square field, pixels.
    wells_used
        Use a block of so many wells and leave the others out of the screen; default: all.
        A small block keeps controls first, then one dose of each mechanism, then a titration.
    batches
        Number of batches over which the plates are spread, in order.
    name
        Name of the screen.
    shuffle_layout
        Place the treatments differently on each plate.

    Raises
    ------
    ConfigurationError
        If a field is impossible; names it.
    """

    preset: Literal["cell_painting", "four_channel_cytotoxicity"] = "cell_painting"
    plates: int = 1
    wells: int = 96
    sites: int = 1
    seed: int = 0
    size: int = 512
    wells_used: int | None = None
    batches: int = 1
    name: str = "demo"
    shuffle_layout: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        checked_name("screen", self.name)
        if self.preset not in PRESET_NAMES:
            raise UnknownNameError("simulation preset", self.preset, PRESET_NAMES)
        if self.wells not in _PLATE_SIZES:
            raise ConfigurationError(f"wells: expected one of {_PLATE_SIZES}, got {self.wells}")
        smallest = {"plates": 1, "sites": 1, "seed": 0, "size": 64, "batches": 1}
        for field, least in smallest.items():
            if getattr(self, field) < least:
                raise ConfigurationError(
                    f"{field}: expected at least {least}, got {getattr(self, field)}"
                )
        if self.batches > self.plates:
            raise ConfigurationError(
                f"batches: expected at most plates ({self.plates}), got {self.batches}"
            )
        if not 4 <= self.used <= self.wells:
            raise ConfigurationError(
                f"wells_used: expected 4 to {self.wells}, got {self.wells_used}"
            )

    @property
    def used(self) -> int:
        """Wells per plate that are part of the screen."""
        return self.wells if self.wells_used is None else self.wells_used

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """Rows and columns of the plate format."""
        return PLATE_FORMATS[self.wells]

    @property
    def plate_names(self) -> tuple[str, ...]:
        """Names of the plates, `P01` on."""
        return tuple(f"P{number:02d}" for number in range(1, self.plates + 1))

    def plate_number(self, plate: str) -> int:
        """Position of a plate, from 0; `UnknownNameError` lists the plates there are."""
        if plate not in self.plate_names:
            raise UnknownNameError("plate", plate, self.plate_names)
        return self.plate_names.index(plate)

    def batch_number(self, plate: str) -> int:
        """Batch of a plate, from 0; plates fill the batches in order."""
        return self.plate_number(plate) * self.batches // self.plates

    def batch_name(self, plate: str) -> str:
        """Name of a plate's batch, `B1` on."""
        return f"B{self.batch_number(plate) + 1}"
