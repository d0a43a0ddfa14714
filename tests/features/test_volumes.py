"""Shape, intensity and texture of z stacks, against cp_measure and hand-worked objects."""

import numpy as np
import pytest
from scipy import ndimage

from phenolake.errors import ConfigurationError, MaskShapeError
from phenolake.features import measure


def blocks():
    labels = np.zeros((9, 14, 16), np.int32)
    labels[2:7, 3:9, 2:8] = 4
    labels[3:8, 8:12, 9:15] = 9
    rng = np.random.default_rng(0)
    return labels, rng.integers(300, 60000, (2, *labels.shape)).astype(np.uint16)


def _deviation(values):
    """Median deviation with medians at place n / 2, counted from 0."""

    def middle(ordered):
        low = ordered.size // 2
        return ordered[low] if ordered.size % 2 == 0 else (ordered[low] + ordered[low + 1]) / 2

    return middle(np.sort(np.abs(values - middle(np.sort(values)))))


def test_a_block_has_its_volume_box_axes_and_centre():
    labels, image = blocks()
    frame = measure(image, ["A", "B"], {"Nuclei": labels}, ["AreaShape", "Location"])
    assert frame["Metadata_ObjectNumber"].to_list() == [4, 9]
    row = frame.row(0, named=True)
    assert row["Nuclei_AreaShape_Volume"] == 5 * 6 * 6
    assert row["Nuclei_AreaShape_BoundingBoxVolume"] == 180
    assert row["Nuclei_AreaShape_BoundingBoxMinimum_Z"] == 2
    assert row["Nuclei_AreaShape_BoundingBoxMaximum_X"] == 8
    assert row["Nuclei_AreaShape_EulerNumber"] == 1
    assert row["Nuclei_Location_Center_Z"] == 4
    assert row["Nuclei_Location_Center_X"] == 4.5
    # Inertia of a block about its middle, each axis' variance being (n * n - 1) / 12.
    a, b = 24 / 12, 35 / 12
    assert row["Nuclei_AreaShape_MajorAxisLength"] == pytest.approx(np.sqrt(20 * b))
    assert row["Nuclei_AreaShape_MinorAxisLength"] == pytest.approx(np.sqrt(20 * a))


def test_a_stack_measures_as_in_cp_measure():
    pytest.importorskip("cp_measure")
    from cp_measure.bulk import get_core_measurements

    rng = np.random.default_rng(1)
    smooth = ndimage.gaussian_filter(rng.standard_normal((16, 40, 44)), 2)
    labels = ndimage.label(smooth > np.quantile(smooth, 0.75))[0].astype(np.int32)
    sizes = np.bincount(labels.ravel())
    labels[np.isin(labels, np.flatnonzero(sizes < 60))] = 0
    labels = np.searchsorted(np.unique(labels), labels).astype(np.int32)
    image = (np.clip(0.5 + 3 * smooth, 0, 1) * 65535).astype(np.uint16)
    ours = measure(image[None], ["A"], {"Nuclei": labels})
    core = get_core_measurements(legacy=True)
    compared = set()
    for name in ("sizeshape", "intensity", "texture"):
        for key, values in core[name](labels, image / 65535).items():
            family, _, rest = key.partition("_")
            if name == "sizeshape":
                column = f"Nuclei_AreaShape_{key}"
            elif name == "texture":
                column = f"Nuclei_Texture_{family}_A_{rest}"
            else:
                column = f"Nuclei_{key}_A"
            if "MADIntensity" in column:  # CellProfiler takes the lower third in 3D
                values = [_deviation(image[labels == k] / 65535) for k in np.unique(labels)[1:]]
            if column in ours.columns:
                np.testing.assert_allclose(
                    ours[column].to_numpy(), values, rtol=1e-6, atol=1e-7, err_msg=column
                )
                compared.add(column)
    assert set(ours.columns[1:]) - compared <= {f"Nuclei_Location_Center_{a}" for a in "XYZ"}
    assert len(compared) == 17 + 15 + 6 + 13 * 13


def test_masks_of_another_depth_and_flat_families_are_refused():
    labels, image = blocks()
    with pytest.raises(MaskShapeError):
        measure(image, ["A", "B"], {"Nuclei": labels[:-1]})
    with pytest.raises(ConfigurationError, match="of z stacks only"):
        measure(image, ["A", "B"], {"Nuclei": labels}, ["Zernike"])


def test_a_stack_without_objects_gives_no_rows_and_all_columns():
    labels, image = blocks()
    frame = measure(image, ["A", "B"], {"Nuclei": labels * 0})
    full = measure(image, ["A", "B"], {"Nuclei": labels})
    assert frame.height == 0
    assert frame.columns == full.columns
