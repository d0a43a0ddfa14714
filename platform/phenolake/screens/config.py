"""`screen.yaml`: what one screen is. Everything has a default; names are checked on loading."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phenolake.errors import ScreenConfigError, UnknownNameError
from phenolake.identity import checked_name
from phenolake.images.quality_flags import QualityLimits
from phenolake.profiling.profile_settings import ProfileSettings
from phenolake.screens.crop_settings import CropSettings
from phenolake.screens.presets import PRESETS, Preset
from phenolake.segmentation.classical_settings import ClassicalSettings
from phenolake.segmentation.object_flags import ObjectLimits

ControlType = Literal["negcon", "poscon", "trt", "empty"]
Projection = Literal["maximum", "mean", "best_focus"]
FieldFamily = Literal["Intensity", "AreaOccupied", "Count", "Texture", "Correlation", "Granularity"]


_MOST_BYTES = 1 << 20


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlateMapConfig(_Section):
    """Where the plate map is and what its columns mean."""

    file: str = Field("platemap.csv", description="CSV file, relative to the screen's folder")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="our name -> column in the file; our names: well, row, column, plate, batch, "
        "perturbation, concentration, unit, control, group, moa, cell_line, smiles",
    )
    controls: dict[str, ControlType] = Field(
        default_factory=dict, description="value in the control column -> control type"
    )
    rows: dict[str, str] = Field(
        default_factory=dict,
        description="perturbation by plate rows, e.g. {A-D: wortmannin}; it also names the control group",
    )
    unit: str | None = Field(None, description="unit of all concentrations in the file")
    negative_control: str | None = Field(
        None, description="perturbation that is the negative control, e.g. DMSO"
    )


class IlluminationConfig(_Section):
    """How uneven light is estimated and taken off."""

    convention: Literal["divide", "subtract", "none"] = Field(
        "divide",
        description="divide by the light's pattern, subtract the background's, or leave images as they are",
    )
    subtract_background: bool = Field(
        False, description="take the estimated background off before dividing"
    )
    smoothing: float = Field(
        0.05, gt=0, le=0.5, description="SD of the Gaussian, as a share of the longer edge"
    )
    max_fields: int = Field(400, ge=10, description="fields of a plate used, spread evenly")


class ScreenConfig(_Section):
    """One screen: a folder of plates that were planned together."""

    name: str = Field(description="name of the screen; default: the folder's name")
    preset: str = Field("cell_painting", description="assay preset that gives the defaults below")
    reader: str | None = Field(
        None,
        description="operetta, cellvoyager, imagexpress, ome_zarr, load_data, ome_tiff, metamorph, "
        "cellomics or filename_pattern; detected if empty",
    )
    pattern: str | None = Field(
        None,
        description="regular expression over the path below the plate's folder, with named groups "
        "well or row and column, and site, channel, z, t (those that apply)",
    )
    images: str | None = Field(
        None,
        description="folder of the one plate's images, relative to the screen; default: a folder per plate",
    )
    plate: str | None = Field(
        None, description="plate name when `images` is given; default: the screen's name"
    )
    batch: str | None = Field(
        None, description="batch of plates that the plate map does not place in one"
    )
    channels: dict[str, str] = Field(
        default_factory=dict, description="channel as acquired -> role; default: recognised by name"
    )
    projection: Projection | dict[str, Projection] = Field(
        "maximum", description="how a z stack becomes one plane, for all channels or by role"
    )
    time_points: Literal["first", "all"] | int = Field(
        "first",
        description="time point to analyse, counted from 0, or all: then site n of time point t is site "
        "t * s + n, s being the power of ten above the largest site number",
    )
    checksum: Literal["full", "none"] = Field(
        "full",
        description="full: CRC-32 of every image file; none: sizes only, and no pixel is read",
    )
    nuclei_channel: str | None = Field(None, description="role that shows nuclei")
    cell_channel: str | None = Field(None, description="role that shows cell bodies")
    pixel_size_um: float | None = Field(None, gt=0, description="edge of a pixel in the sample, um")
    wells: Literal[6, 12, 24, 48, 96, 384, 1536] | None = Field(None, description="plate format")
    plate_map: PlateMapConfig = Field(default_factory=PlateMapConfig)
    illumination: IlluminationConfig = Field(default_factory=IlluminationConfig)
    quality: QualityLimits = Field(
        default_factory=QualityLimits,
        description="limits of image quality, and which bad sites are left out of profiles",
    )
    segmentation: str | None = Field(
        None,
        description="auto, compact, compact_mirrored (four times slower, a little better), classical, "
        "or cellpose:<name or path>",
    )
    classical: ClassicalSettings = Field(
        default_factory=ClassicalSettings,
        description="settings of the classical method, where that is the segmentation",
    )
    objects: ObjectLimits = Field(
        default_factory=ObjectLimits,
        description="limits of single objects, and which odd ones are left out of profiles",
    )
    annotated: str | None = Field(
        None,
        description="folder of images with label masks, relative to the screen, on which segmentation "
        "methods are scored",
    )
    features: str | None = Field(
        None,
        description="feature set: fast, standard, full or cytotoxicity_42, or families by name; "
        "default: the preset's",
    )
    field_features: tuple[FieldFamily, ...] = Field(
        ("Intensity", "AreaOccupied", "Count"),
        description="what is measured of whole fields: also Texture, Correlation and Granularity, "
        "which take longer",
    )
    readouts: list[str] = Field(
        default_factory=list, description="profile columns that plate_quality and hits judge"
    )
    dose_responses: list[str] = Field(
        default_factory=list,
        description="profile columns that curves are fitted to, besides the readouts; all: every one",
    )
    reference: Literal["auto", "controls", "all"] = Field(
        "auto",
        description="wells that profiles are compared with: negative controls, all wells, or auto: "
        "all wells where none is a control",
    )
    recipe: str = Field(
        "moa_default", description="recipe from well profiles to corrected profiles"
    )
    corrections: list[str] = Field(
        default_factory=lambda: ["none", "sphering"],
        description="batch corrections kept side by side: none, mean_centring, sphering, tvn, coral, "
        "combat, harmony_scrna",
    )
    profiles: ProfileSettings = Field(
        default_factory=ProfileSettings,
        description="how cells become profiles: statistic, fewest cells, adjustments, consensus, refit",
    )
    crops: CropSettings = Field(
        default_factory=CropSettings, description="how single-cell crops are cut"
    )
    labels: Literal["moa", "perturbation"] = Field(
        "moa", description="what the models learn to tell apart, from the plate map"
    )
    annotations: str | None = Field(
        None,
        description="CSV file of labels for cells or wells, relative to the screen; models learn from it "
        "in place of the plate map",
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> ScreenConfig:
        checked_name("screen", self.name)
        if self.plate is not None:
            checked_name("plate", self.plate)
        if self.preset not in PRESETS:
            raise ValueError(str(UnknownNameError("preset", self.preset, PRESETS)))
        # Imported here: only screens need the numerics' names, and only when they are read.
        from phenolake.correction import METHODS
        from phenolake.profiling import RECIPES

        if self.recipe not in RECIPES:
            raise ValueError(str(UnknownNameError("recipe", self.recipe, RECIPES)))
        if not self.corrections:
            raise ValueError("corrections: name at least one, such as none")
        for method in self.corrections:
            if method not in METHODS:
                raise ValueError(str(UnknownNameError("correction method", method, METHODS)))
        known = set(self.roles)
        for what, role in (
            ("nuclei_channel", self.nuclei_channel),
            ("cell_channel", self.cell_channel),
            *(("crops: channels", role) for role in self.crops.channels),
        ):
            if role is not None and role not in known:
                raise ValueError(f"{what}: {UnknownNameError('channel role', role, known)}")
        return self

    @property
    def assay(self) -> Preset:
        """The preset's values."""
        return PRESETS[self.preset]

    @property
    def roles(self) -> tuple[str, ...]:
        """Channel roles of the screen: those mapped in `channels`, else the preset's."""
        return tuple(dict.fromkeys(self.channels.values())) or self.assay.roles

    @property
    def names_channels(self) -> bool:
        """Whether the screen was described: channels mapped, or a preset chosen."""
        return bool(self.channels) or "preset" in self.model_fields_set

    def projection_of(self, role: str) -> Projection:
        """How z stacks of a channel become one plane."""
        if isinstance(self.projection, str):
            return self.projection
        return self.projection.get(role, "maximum")

    @property
    def nuclei_role(self) -> str:
        """Role that shows nuclei."""
        return self.nuclei_channel or self.assay.nuclei_channel

    @property
    def quality_limits(self) -> QualityLimits:
        """Limits of image quality; stains other than the nuclei's may change with the phenotype."""
        channels = self.quality.channels or (self.nuclei_role,)
        return self.quality.model_copy(update={"channels": channels})

    @property
    def cell_role(self) -> str | None:
        """Role that shows cell bodies, if the screen has one."""
        role = self.cell_channel or self.assay.cell_channel
        return role if role in self.roles else None

    @property
    def feature_set(self) -> str:
        """What is measured of every cell: the screen's choice, else its preset's.

        A preset's choice needs the channels of the preset; a screen with others has `standard`.
        """
        suits = set(self.assay.roles) <= set(self.roles)
        return self.features or (self.assay.features if suits else "standard")

    def segmentation_method(self, default: str) -> str:
        """Segmentation method of the screen, or the given one, with the settings of classical."""
        chosen = self.segmentation or default
        return self.classical.method if chosen == "classical" else chosen

    @property
    def readout_columns(self) -> list[str]:
        """Profile columns by which plates and hits are judged."""
        return self.readouts or list(self.assay.readouts)


def load_screen_config(path: Path, default_name: str) -> ScreenConfig:
    """Read a `screen.yaml`; a missing file gives the defaults under `default_name`.

    Raises
    ------
    ScreenConfigError
        If the file is no YAML mapping, or a field is unknown or impossible; names file and field.
    """
    values: object = {}
    if os.path.lexists(path):
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise ScreenConfigError(
                    path, f"larger than {_MOST_BYTES} bytes; this is no screen.yaml"
                )
        except OSError as error:
            raise ScreenConfigError(path, f"can't be opened: {error.strerror}") from error
        try:
            values = yaml.safe_load(content.decode("utf-8")) or {}
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ScreenConfigError(path, f"not readable as YAML: {reason}") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ScreenConfigError(path, "expected `field: value` lines at the top level")
    try:
        return ScreenConfig(**{"name": default_name, **values})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'screen'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise ScreenConfigError(path, problems) from error
