"""Settings of the classical method, under the names people know from CellProfiler."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phenolake.errors import ConfigurationError, UnknownNameError

Threshold = Literal["automatic", "otsu", "minimum_cross_entropy", "triangle", "robust_background"]
Declump = Literal["shape_and_intensity", "shape", "intensity", "none"]
SecondaryMethod = Literal["propagation", "distance"]


class ClassicalSettings(BaseModel):
    """How `classical` finds nuclei and cells; the defaults need no tuning for most plates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold_method: Threshold = Field(
        "automatic",
        description="what parts nuclei from background; automatic: Otsu's on the logarithm, above the noise",
    )
    threshold_correction: float = Field(
        1.0,
        gt=0,
        le=100,
        description="factor on the threshold, as CellProfiler's correction factor",
    )
    threshold_window_px: float | None = Field(
        None,
        gt=0,
        description="local (adaptive) threshold in windows so wide, within 0.7 to 1.5 times the "
        "global one; one threshold for the field if empty",
    )
    smoothing_px: float = Field(
        1.0, ge=0, le=50, description="SD of the Gaussian before thresholding"
    )
    edge: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="a nucleus ends where its brightness falls to this part of its plateau; 0 leaves "
        "the outline to the threshold alone, as CellProfiler does",
    )
    dimmest: float = Field(
        0.55,
        ge=0,
        lt=1,
        description="objects dimmer than this part of the typical nucleus are dropped; lower it where "
        "dim nuclei are missed",
    )
    declump: Declump = Field(
        "shape_and_intensity", description="what parts touching nuclei; none leaves clumps whole"
    )
    min_diameter_px: float | None = Field(
        None,
        gt=0,
        description="nuclei below this diameter are dropped; default: 0.35 of the typical",
    )
    max_diameter_px: float | None = Field(
        None, gt=0, description="nuclei above this diameter are dropped; default: none is"
    )
    fill_holes: bool = Field(True, description="fill holes in nuclei")
    cell_method: SecondaryMethod = Field(
        "propagation",
        description="propagation over the cell channel, or distance: a ring of cell_distance_px",
    )
    cell_distance_px: float | None = Field(
        None, gt=0, description="width of the ring (Distance-N); default: two nuclear diameters"
    )
    cell_edge: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="a cell ends where its brightness falls to this part of that beside its nucleus",
    )
    regularization: float = Field(
        0.05,
        gt=0,
        le=1000,
        description="propagation: how much distance counts beside edges, as CellProfiler's; large "
        "values part cells half way between nuclei",
    )

    @model_validator(mode="after")
    def _range_is_one(self) -> ClassicalSettings:
        low, high = self.min_diameter_px, self.max_diameter_px
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_diameter_px {low} is above max_diameter_px {high}")
        return self

    @property
    def method(self) -> str:
        """Name of the method with what differs from the defaults, for `segment`."""
        changed = self.model_dump(exclude_defaults=True)
        text = ";".join(f"{name}={value}" for name, value in sorted(changed.items()))
        return f"classical:{text}" if text else "classical"

    @classmethod
    def parse(cls, text: str) -> ClassicalSettings:
        """Read `name=value;name=value`, what follows the colon of `method`.

        Raises
        ------
        UnknownNameError
            If there is no such setting.
        ConfigurationError
            If a value is impossible.
        """
        values: dict[str, Any] = {}
        for part in filter(None, (each.strip() for each in text.split(";"))):
            name, _, value = part.partition("=")
            if name.strip() not in cls.model_fields:
                raise UnknownNameError("setting of classical", name.strip(), cls.model_fields)
            values[name.strip()] = value.strip()
        try:
            return cls(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
            raise ConfigurationError(f"classical: {problems}") from error
