"""A lake of one screen with images, masks, cells, profiles, predictions and marts, made in a second."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import tifffile

from phenolake.dose_response import fit_curves
from phenolake.lake import Lake, encode_labels
from phenolake.stages.predictions import well_rows
from phenolake.tables import TABLES

SCREEN, PLATE = "first <screen>", "P 1"
WHERE = {"Metadata_Screen": SCREEN, "Metadata_Plate": PLATE}
#: A compound whose name is an attack on pages and queries.
DRUG = "5' <b>drug</b>/\"; drop table hits; --"
ROWS, DOSES = "ABC", (0.1, 0.3, 1.0, 3.0, 10.0)
SIZE, CROP_SIZE = 64, 16
CHANNELS = ("DNA", "GFP")


def make_lake(folder: Path) -> Lake:
    """Write a plate of three rows: column 1 DMSO, columns 2 to 6 the doses of a drug."""
    rng = np.random.default_rng(0)
    lake = Lake(str(folder / "tables"))
    catalog, quality, masks, objects, cells, wells, predictions, crops = ([] for _ in range(8))
    for row in ROWS:
        for column, dose in enumerate((None, *DOSES), 1):
            well = {**WHERE, "Metadata_Batch": "B1", "Metadata_Well": f"{row}{column:02d}"}
            treatment = {
                "Metadata_Perturbation": "DMSO" if dose is None else DRUG,
                "Metadata_Concentration": dose,
                "Metadata_ConcentrationUnit": None if dose is None else "uM",
                "Metadata_ControlType": "negcon" if dose is None else "trt",
                "Metadata_MOA": None if dose is None else "unknown & new",
            }
            effect = 0 if dose is None else 10 * dose / (1 + dose)
            area = 100 + 5 * effect + rng.normal(0, 1)
            wells.append(
                well | treatment | {"Metadata_CellCount": 3, "Nuclei_AreaShape_Area": area}
            )
            for site in (1, 2):
                sited = well | {"Metadata_Site": site}
                labels = _labels()
                for channel in CHANNELS:
                    path = folder / "images" / f"{well['Metadata_Well']}_{site}_{channel}.tif"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    tifffile.imwrite(path, (labels > 0) * np.uint16(20_000 + 1000 * column))
                    catalog.append(sited | _plane(path, channel))
                    blurred = (row, column, site, channel) == ("C", 6, 2, "DNA")
                    quality.append(
                        sited
                        | {"channel": channel, "background": 0.0, "p99_intensity": 0.4}
                        | {"reason": "blurred" if blurred else None, "is_usable": not blurred}
                    )
                for compartment in ("Nuclei", "Cells"):
                    masks.append(sited | _mask(labels, compartment))
                for number in (1, 2, 3):
                    cell = sited | {"Metadata_ObjectNumber": number}
                    place = {"part": 1, "area": 64, "center_y": 12.0, "center_x": 20.0 * number - 8}
                    objects.append(cell | place | {"compartment": "Nuclei"})
                    cells.append(cell | {"Nuclei_AreaShape_Area": float(area + number)})
                    model = {"model_name": "m", "model_version": "1", "mlflow_run_id": "r"}
                    pixels = rng.integers(0, 255, (2, CROP_SIZE, CROP_SIZE), np.uint8)
                    crops.append(cell | _crop(pixels))
                    label = "round" if effect > 4 else "flat <i>"
                    predictions.append(
                        cell | model | {"label": label, "true_label": label, "entropy": 0.2}
                        | {"probability": 0.5 + 0.1 * number, "split": "validation"}
                        | {"probabilities": [{"class": label, "probability": 0.5 + 0.1 * number}]}
                    )  # fmt: skip
    profiles = pl.DataFrame(wells, infer_schema_length=None)
    corrected = profiles.with_columns(
        pl.lit("none").alias("Metadata_Correction"),
        pl.Series("Cells_AreaShape_Area", rng.normal(size=profiles.height)),
    )
    for name, rows in {
        "raw_image_catalog": catalog, "image_quality": quality, "segmentation_masks": masks,
        "objects": objects, "single_cell_features": cells, "single_cell_crops": crops,
    }.items():  # fmt: skip
        lake.write(TABLES[name], pl.DataFrame(rows, infer_schema_length=None), WHERE)
    lake.write(TABLES["well_profiles"], profiles, WHERE)
    screen = {"Metadata_Screen": SCREEN}
    lake.write(TABLES["batch_corrected_profiles"], corrected, screen)
    judged = pl.DataFrame(predictions).cast({"probability": pl.Float32})
    lake.write(TABLES["model_predictions"], judged, screen)
    lake.write(TABLES["well_predictions"], well_rows(lake.scan("model_predictions")), screen)
    lake.write(TABLES["profile_similarity"], _similarity(), screen)
    lake.write(TABLES["quarantine"], _refused(), WHERE | {"stage": "raw_image_catalog"})
    curves = fit_curves(profiles, ["Nuclei_AreaShape_Area"]).with_columns(
        pl.lit(SCREEN).alias("Metadata_Screen"), (pl.col("full") - pl.col("zero")).alias("span")
    )
    lake.write_mart("dose_response", curves.to_arrow())
    lake.write_mart("hits", _hits().to_arrow())
    return lake


def _labels() -> np.ndarray:
    labels = np.zeros((SIZE, SIZE), np.int32)
    for number in (1, 2, 3):
        labels[8:16, 20 * number - 12 : 20 * number - 4] = number
    return labels


def _plane(path: Path, channel: str) -> dict[str, object]:
    return {
        "channel": channel, "z": 0, "t": 0, "uri": str(path), "index_in_file": 0, "height": SIZE,
        "width": SIZE, "dtype": "uint16", "bytes": 1, "pixel_size_um": 0.5,
        "source_format": "filename_pattern",
    }  # fmt: skip


def _mask(labels: np.ndarray, compartment: str) -> dict[str, object]:
    return {
        "compartment": compartment, "labels": encode_labels(labels), "codec": "labels-zstd-1",
        "height": SIZE, "width": SIZE, "object_count": 3, "method": "classical",
    }  # fmt: skip


def _crop(pixels: np.ndarray) -> dict[str, object]:
    return {"channels": ",".join(CHANNELS), "size": CROP_SIZE, "pixels": pixels.tobytes()}


def _similarity() -> pl.DataFrame:
    """The drug's higher doses are a cluster, its lower ones and DMSO another."""
    doses = (None, *DOSES)
    rows = [
        {
            "Metadata_Screen": SCREEN, "Metadata_Correction": "none",
            "Metadata_Perturbation": "DMSO" if dose is None else DRUG,
            "Metadata_Concentration": dose,
            "Metadata_ConcentrationUnit": None if dose is None else "uM",
            "cluster": 1 if (dose or 0) < 1 else 2, "rank": 1, "similarity": 0.5,
            "neighbour_Perturbation": "DMSO",
        }
        for dose in doses
    ]  # fmt: skip
    return pl.DataFrame(rows)


def _refused() -> pl.DataFrame:
    row = {
        **WHERE, "stage": "raw_image_catalog", "number": 1, "Metadata_Well": "A01",
        "problem": "unreadable_image", "expected": "a TIFF", "got": "<i>text</i>",
        "advice": "copy the file again", "found_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return pl.DataFrame([row])


def _hits() -> pl.DataFrame:
    rows = [
        {
            "Metadata_Screen": SCREEN, "Metadata_Perturbation": DRUG, "Metadata_Concentration": dose,
            "Metadata_ConcentrationUnit": "uM", "Metadata_MOA": "unknown & new",
            "readout": "Nuclei_AreaShape_Area", "is_control": False, "wells": 3, "plates": 1,
            "well_names": "A02", "effect": 1.0, "median_z": float(dose), "ssmd": 1.0,
            "replicate_agreement": 1.0, "p_value": 0.01, "q_value": 0.02, "is_hit": dose > 1,
        }
        for dose in DOSES
    ]  # fmt: skip
    return pl.DataFrame(rows)
