"""Agreement with public data: counts, F1 and the assay window."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation import segment, segment_many


def test_hand_made_nuclear_masks_are_met(shared_data):
    import tifffile  # noqa: F401
    from imageio.v3 import imread

    folder = shared_data / "dsb2018_nuclei"
    rows = list(csv.DictReader((folder / "index.csv").open()))
    rows = sorted(rows, key=lambda row: (row["condition"], row["image"]))[::9]
    truth = [imread(folder / "masks" / f"{row['image']}.png").astype(np.int32) for row in rows]
    images = (imread(folder / "images" / f"{row['image']}.png")[None] for row in rows)
    found = [masks["Nuclei"] for masks in segment_many(images, {"DNA": 0}, "classical")]
    scores = segmentation_scores(truth, found, (0.5, 0.9))
    # The crude baseline that comes with the data has 0.810 and 0.319.
    assert scores["f1"][0] > 0.82
    assert scores["f1"][1] > 0.319


def test_cellprofiler_counts_as_many_cells(shared_data):
    import tifffile

    folder = shared_data / "cp_examplehuman"
    planes = [tifffile.imread(folder / f"AS_09125_050116030001_D03f00d{n}.tif") for n in (0, 2)]
    masks = segment(np.stack(planes), {"DNA": 0, "Actin": 1}, "classical")
    assert masks["Nuclei"].max() == pytest.approx(289, rel=0.12)
    areas = np.bincount(masks["Cells"].ravel())[1:]
    with (folder / "Cells.csv").open() as file:
        expected = np.mean([float(row["AreaShape_Area"]) for row in csv.DictReader(file)])
    assert areas.mean() == pytest.approx(expected, rel=0.25)


@pytest.mark.slow
def test_the_translocation_assay_has_its_window(shared_data):
    import tifffile
    from scipy import ndimage

    folder = shared_data / "sbs_fkhr_plate"
    wells = {"A-C": {}, "E-G": {}}
    with (folder / "platemap.csv").open() as file:
        for row in csv.DictReader(file):
            group = next((g for g in wells if row["Row"] in {"A-C": "ABC", "E-G": "EFG"}[g]), None)
            if group and row["SBS_Controls"] != "0":
                wells[group][int(row["ImageNumber"])] = (row, row["SBS_Controls"])
    for group, floor in (("A-C", 0.9), ("E-G", 0.7)):
        values = {"1": [], "-1": []}
        for number, (row, control) in wells[group].items():
            name = f"{number:02d}-{row['Row']}-{row['Column']}.tif"
            image = np.stack(
                [tifffile.imread(folder / "images" / f"Channel{c}-{name}") for c in (2, 1)]
            )
            masks = segment(image, {"DNA": 0, "GFP": 1}, "classical")
            numbers = np.intersect1d(
                np.unique(masks["Cytoplasm"])[1:], np.unique(masks["Nuclei"])[1:]
            )
            inside, outside = (
                ndimage.mean(image[1], masks[part], numbers) for part in ("Nuclei", "Cytoplasm")
            )
            values[control].append(np.median(inside / outside))
        high, low = values["1"], values["-1"]
        spread = 3 * (np.std(high, ddof=1) + np.std(low, ddof=1))
        assert 1 - spread / abs(np.mean(high) - np.mean(low)) >= floor
