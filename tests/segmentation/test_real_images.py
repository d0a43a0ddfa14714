"""Agreement with public data: counts, F1 and the assay window."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from phenolake.evaluation.segmentation import segmentation_scores
from phenolake.segmentation import segment, segment_many


def test_hand_made_nuclear_masks_are_met(shared_data):
    from imageio.v3 import imread

    folder = shared_data / "dsb2018_nuclei"
    rows = list(csv.DictReader((folder / "index.csv").open()))
    rows = sorted(rows, key=lambda row: (row["condition"], row["image"]))[::12]
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
def test_the_translocation_assay_has_its_count_and_its_window(shared_data):
    import tifffile
    from scipy import ndimage

    folder = shared_data / "sbs_fkhr_plate"
    count = 0
    ratios: dict[tuple[str, str], list[float]] = {}
    with (folder / "platemap.csv").open() as file:
        wells = [row for row in csv.DictReader(file) if row["Row"] in "ABCEFG"]
    for row in wells:
        name = f"{int(row['ImageNumber']):02d}-{row['Row']}-{row['Column']}.tif"
        planes = [tifffile.imread(folder / "images" / f"Channel{c}-{name}") for c in (2, 1)]
        masks = segment(np.stack(planes), {"DNA": 0, "GFP": 1}, "classical")
        count += masks["Nuclei"].max()
        cells = np.unique(masks["Cytoplasm"])[1:]
        inside, outside = (
            ndimage.mean(planes[1], masks[part], cells) for part in ("Nuclei", "Cytoplasm")
        )
        drug = "wortmannin" if row["Row"] in "ABC" else "LY294002"
        ratios.setdefault((drug, row["SBS_Controls"]), []).append(np.median(inside / outside))
    assert 11_500 < count < 13_500
    for drug, floor in (("wortmannin", 0.9), ("LY294002", 0.7)):
        high, low = ratios[drug, "1"], ratios[drug, "-1"]
        spread = 3 * (np.std(high, ddof=1) + np.std(low, ddof=1))
        assert 1 - spread / abs(np.mean(high) - np.mean(low)) >= floor
