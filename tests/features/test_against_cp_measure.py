"""Equal values to cp_measure 0.3, family by family, on awkward masks and on real fields.

Known exceptions are documented where each family is defined: NaN where cp_measure has inf, a
placeholder 0, or an angle made of rounding noise.
"""

import numpy as np
import pytest
from scipy import ndimage

from features.cp_measure_reference import reference_columns
from features.fields import contiguous, random_image, random_labels
from phenolake.features import measure

pytest.importorskip("cp_measure")

#: Largest relative difference; the floor below which values are compared absolutely.
TOLERANCE = {
    "AreaShape": 1e-6,
    "Moments": 1e-6,
    "Intensity": 1e-6,
    "Location": 1e-6,
    "Neighbors": 1e-6,
    "Correlation": 1e-6,
    "Costes": 1e-6,
    "Texture": 1e-5,
    "RadialDistribution": 1e-5,
    "Zernike": 1e-5,
    "RadialZernike": 1e-5,
    "Granularity": 1e-5,
}
FAMILIES = list(TOLERANCE)


def assert_equal_to_reference(image, channels, masks, family):
    scale = np.iinfo(image.dtype).max
    reference = reference_columns(image / scale, channels, masks, family)
    ours = measure(image, channels, masks, [family])
    compared = 0
    for name in ours.columns[1:]:
        if name not in reference:
            assert "_Location_Center_" in name
            continue
        values, expected = ours[name].to_numpy(), np.array(reference[name], float)
        if "FormFactor" in name:
            expected[np.isinf(expected)] = np.nan
        if "ZernikePhase" in name:  # an angle: +pi and -pi are one, and that of zero is noise
            magnitude = reference[name.replace("Phase", "Magnitude")]
            real = magnitude > 1e-9
            values, expected = (np.exp(1j * angle[real]) for angle in (values, expected))
        # InfoMeas2 is the root of a difference: its noise is the root of rounding.
        floor = 1e-7 if "InfoMeas2" in name else 1e-9
        np.testing.assert_allclose(
            values, expected, rtol=TOLERANCE[family], atol=floor, err_msg=name
        )
        compared += 1
    assert compared > 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_objects_measure_as_in_cp_measure(family, seed):
    masks = {"Cells": random_labels(seed)}
    assert_equal_to_reference(random_image(seed + 50), ["A", "B", "C"], masks, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_dim_eight_bit_images_measure_as_in_cp_measure(family):
    image = random_image(7, 2, dtype=np.uint8) // 8
    assert_equal_to_reference(image, ["A", "B"], {"Cells": random_labels(3)}, family)


@pytest.mark.parametrize("family", ["AreaShape", "Zernike", "RadialZernike", "Texture"])
def test_symmetric_and_tiny_shapes_measure_as_in_cp_measure(family):
    labels = np.zeros((80, 200), np.int32)
    col = 1
    shapes = [np.ones((a, b)) for a in (1, 2, 3, 7) for b in (1, 2, 5)]
    for radius in range(1, 7):
        y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        shapes += [y * y + x * x <= radius * radius, abs(y) + abs(x) <= radius]
    for number, shape in enumerate(shapes, 1):
        height, width = shape.shape
        row = 0 if number % 2 else 40  # every other one touches the upper border
        labels[row : row + height, col : col + width][shape > 0] = number
        col += width + 1
    assert_equal_to_reference(
        random_image(2, 2, labels.shape), ["A", "B"], {"Cells": labels}, family
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_human_cell_field_measures_as_in_cp_measure(shared_data, family):
    import tifffile

    folder = shared_data / "cp_examplehuman"
    image = np.stack(
        [tifffile.imread(folder / f"AS_09125_050116030001_D03f00d{d}.tif") for d in range(3)]
    )[:, :180, :220]
    smooth = ndimage.gaussian_filter(image[0].astype(float), 1)
    nuclei = ndimage.label(smooth > 40)[0]
    near, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    cells = np.where(near < 8, nuclei[tuple(nearest)], 0)
    masks = {
        "Nuclei": nuclei.astype(np.int32),
        "Cytoplasm": contiguous(np.where(nuclei > 0, 0, cells)),
    }
    assert_equal_to_reference(image, ["DNA", "PH3", "Cell"], masks, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cell_painting_field_measures_as_in_cp_measure(shared_data, family):
    import tifffile

    folder = shared_data / "cellpainting_6ch_field" / "images"
    image = np.stack(
        [tifffile.imread(folder / f"r03c03f03p01-ch{c}sk1fk1fl1.tiff") for c in (5, 2, 6)]
    )[:, :400, :400]
    smooth = ndimage.gaussian_filter(image[0].astype(float), 2)
    nuclei = ndimage.label(smooth > smooth.mean() + smooth.std())[0].astype(np.int32)
    assert_equal_to_reference(image, ["DNA", "ER", "RNA"], {"Nuclei": nuclei}, family)


def test_a_nucleus_has_the_shape_cellprofiler_itself_measured(shared_data):
    """The stored values are CellProfiler 4's, of a nucleus that touches no other."""
    import polars as pl
    import tifffile

    folder = shared_data / "nf1_cellpainting_fields"
    table = pl.read_parquet(folder / "cellprofiler_single_cells.parquet")
    row = table.filter(pl.col("Image_Metadata_Well_x") == "D7").row(0, named=True)
    foreground = tifffile.imread(folder / "masks" / "D7_01_1_1_DAPI_001_MaskNuclei.tiff") > 0
    nuclei = ndimage.label(foreground, np.ones((3, 3)))[0]
    image = tifffile.imread(folder / "images" / "D7_01_1_1_DAPI_001.tif")[None]
    frame = measure(image, ["DAPI"], {"Nuclei": nuclei}, ["AreaShape", "Zernike"])
    left = row["Nuclei_AreaShape_BoundingBoxMinimum_X"]
    ours = frame.filter(pl.col("Nuclei_AreaShape_BoundingBoxMinimum_X") == left)
    assert ours.height == 1
    for name in ours.columns[1:]:
        assert ours[name].item() == pytest.approx(row[name], rel=1e-6), name
