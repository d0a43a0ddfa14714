from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from phenolake.errors import ConfigurationError
from phenolake.importing import import_source
from phenolake.importing.land import Options
from phenolake.lake import Lake, decode_labels


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def profiles(plate: str, wells: list[str], **metadata: object) -> pl.DataFrame:
    features = {
        f"Cells_AreaShape_F{i}": [float(i + n) for n in range(len(wells))] for i in range(12)
    }
    columns = {
        "Metadata_Plate": [plate] * len(wells),
        "Metadata_Well": wells,
        "Metadata_Object_Count": [5] * len(wells),
        **{f"Metadata_{name}": [value] * len(wells) for name, value in metadata.items()},
    }
    return pl.DataFrame({**columns, **features})


def write(folder: Path, name: str, frame: pl.DataFrame) -> None:
    folder.mkdir(exist_ok=True)
    if name.endswith(".parquet"):
        frame.write_parquet(folder / name)
    else:
        frame.write_csv(folder / name)


@pytest.mark.parametrize("name", ["p_augmented.csv", "p_augmented.parquet"])
def test_raw_profiles_land_with_their_treatments(tmp_path: Path, lake: Lake, name: str) -> None:
    frame = profiles("001", ["A1", "B02"], broad_sample="BRD-1", MoA="inhibitor", control_type=None)
    write(tmp_path / "in", name, frame)
    first, second = import_source(lake, tmp_path / "in", "S")
    assert (first.commit.table, second.commit.table) == ("well_profiles", "plate_map")
    rows = lake.read("well_profiles")
    assert rows["Metadata_Plate"].to_list() == ["001", "001"]
    assert rows["Metadata_Well"].to_list() == ["A01", "B02"]
    assert rows["Metadata_CellCount"].to_list() == [5, 5]
    assert rows["Metadata_Perturbation"].to_list() == ["BRD-1"] * 2
    assert rows["Metadata_MOA"].to_list() == ["inhibitor"] * 2
    assert rows["Metadata_ControlType"].to_list() == ["trt"] * 2
    assert rows["Cells_AreaShape_F3"].to_list() == [3.0, 4.0]
    assert lake.read("plate_map")["Metadata_Perturbation"].to_list() == ["BRD-1"] * 2


def test_normalized_stages_of_one_plate_lie_side_by_side(tmp_path: Path, lake: Lake) -> None:
    write(tmp_path / "in", "p_normalized.csv", profiles("P", ["A01"]))
    selected = profiles("P", ["A01"]).drop("Cells_AreaShape_F1")
    write(tmp_path / "in", "p_normalized_feature_select.csv", selected)
    imported = list(import_source(lake, tmp_path / "in", "S"))
    rows = lake.read("normalized_profiles").sort("Metadata_Normalization")
    assert rows["Metadata_Normalization"].to_list() == ["normalized", "normalized_feature_select"]
    assert rows["Cells_AreaShape_F1"].to_list() == [1.0, None]
    assert any(
        p.problem in ("missing_columns", "extra_columns") for i in imported for p in i.problems
    )


def test_one_barcode_in_two_batches_becomes_two_plates_and_is_reported(
    tmp_path: Path, lake: Lake
) -> None:
    write(tmp_path / "in", "a.csv", profiles("P", ["A01"], batch="B1"))
    write(tmp_path / "in", "b.csv", profiles("P", ["A01"], batch="B2"))
    imported = [
        i for i in import_source(lake, tmp_path / "in", "S") if i.commit.table == "well_profiles"
    ]
    assert [i.key.plate for i in imported] == ["B1 P", "B2 P"]
    assert all("plate_twice" in {p.problem for p in i.problems} for i in imported)


def test_a_table_can_be_chosen(tmp_path: Path, lake: Lake) -> None:
    write(tmp_path / "in", "p.csv", profiles("P", ["A01"]))
    options = Options(table="normalized_profiles")
    first = next(iter(import_source(lake, tmp_path / "in", "S", options=options)))
    assert first.commit.table == "normalized_profiles"


def test_the_index_that_pandas_writes_is_no_column(tmp_path: Path, lake: Lake) -> None:
    frame = profiles("P", ["A01", "A02"])
    write(tmp_path / "in", "p.csv", frame.with_row_index("").sample(2, seed=1))
    next(iter(import_source(lake, tmp_path / "in", "S")))
    rows = lake.read("well_profiles")
    assert "" not in rows.columns
    assert rows.height == 2


def test_a_bad_well_is_reported_and_the_others_imported(tmp_path: Path, lake: Lake) -> None:
    write(tmp_path / "in", "p.csv", profiles("P", ["A01", "well 3"]))
    first = next(iter(import_source(lake, tmp_path / "in", "S")))
    assert first.commit.rows == 1
    assert [p.problem for p in first.problems] == ["not_a_well"]


@pytest.mark.parametrize("folder", ["pycytominer_stages", "jumpmoa_dye_plates"])
def test_values_of_real_profiles_are_those_of_the_source(
    shared_data: Path, lake: Lake, folder: str
) -> None:
    path = sorted((shared_data / folder).glob("*normalized*csv.gz"))[0]
    list(import_source(lake, path, "S"))
    source = pl.read_csv(path, infer_schema_length=None).cast({"Metadata_Plate": pl.String})
    rows = lake.read("normalized_profiles")
    keys = ["Metadata_Plate", "Metadata_Well"]
    features = [name for name in source.columns if not name.startswith("Metadata_")]
    both = source.select(keys).join(rows, on=keys, how="left", maintain_order="left")
    assert rows.height == source.height
    expected = source.select(pl.col(features).cast(pl.Float64)).to_numpy()
    np.testing.assert_array_equal(both.select(features).to_numpy(), expected)


def labels() -> np.ndarray:
    image = np.zeros((20, 30), np.uint16)
    image[2:6, 2:6], image[10:15, 10:20] = 3, 700
    return image


def test_label_images_keep_their_numbers(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    tifffile.imwrite(folder / "A01_s2_nuclei_mask.tif", labels())
    tifffile.imwrite(folder / "A01_s2_cells_mask.tif", labels())
    (folder / "A02_s1_cells_mask.tif").write_bytes(b"")
    tifffile.imwrite(folder / "unknown_mask.tif", labels())
    imported, objects = import_source(lake, folder, "S", options=Options(plate="P"))
    assert objects.commit.table == "objects"
    rows = lake.read("segmentation_masks")
    assert rows["compartment"].to_list() == ["Cells", "Cytoplasm", "Nuclei"]
    assert rows["Metadata_Site"].to_list() == [2, 2, 2]
    assert rows["object_count"].to_list() == [2, 0, 2]
    got = decode_labels(rows["labels"][0], (20, 30), rows["codec"][0])
    np.testing.assert_array_equal(got, labels())
    assert sorted(p.problem for p in imported.problems) == ["unknown_file_name", "unreadable_mask"]


def test_a_pattern_places_masks(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    tifffile.imwrite(folder / "B7_01_1_3_DAPI_MaskNuclei.tif", labels())
    pattern = r"(?P<well>[A-H]\d+)_01_\d_(?P<site>\d)_\w+_Mask(?P<compartment>\w+)"
    list(import_source(lake, folder, "S", "masks", Options(pattern=pattern)))
    assert lake.read("segmentation_masks").select("Metadata_Well", "Metadata_Site").row(0) == (
        "B07",
        3,
    )
    with pytest.raises(ConfigurationError, match="unknown groups"):
        list(import_source(lake, folder, "S", "masks", Options(pattern=r"(?P<cell>x)")))


def test_columns_of_lists_structs_and_bytes_are_empty_and_reported(
    tmp_path: Path, lake: Lake
) -> None:
    frame = profiles("P", ["A01"], MoA="x", note="y").with_columns(
        pl.concat_list("Metadata_MoA").alias("Metadata_MoA"),
        pl.struct("Metadata_note").alias("Metadata_note"),
        pl.lit(b"\xff").alias("Metadata_compound"),
    )
    write(tmp_path / "in", "p.parquet", frame)
    imported = next(iter(import_source(lake, tmp_path / "in", "S")))
    assert [p.problem for p in imported.problems] == ["not_a_text"] * 3
    rows = lake.read("well_profiles")
    assert rows["Metadata_MOA"].to_list() == [None]
    assert rows["Cells_AreaShape_F3"].to_list() == [3.0]


def test_our_own_profiles_of_another_screen_come_in_again(tmp_path: Path, lake: Lake) -> None:
    frame = profiles("P", ["A01"], Screen="other", Concentration=3.0, ConcentrationUnit="uM")
    write(tmp_path / "in", "p.parquet", frame)
    list(import_source(lake, tmp_path / "in", "S"))
    row = lake.read("well_profiles").row(0, named=True)
    assert (row["Metadata_Screen"], row["Metadata_SourceScreen"]) == ("S", "other")
    assert (row["Metadata_Concentration"], row["Metadata_ConcentrationUnit"]) == (3.0, "uM")


def test_categories_and_infinite_counts_are_taken_as_far_as_they_go(
    tmp_path: Path, lake: Lake
) -> None:
    text = pl.Series(["3.5"], dtype=pl.Categorical)
    frame = profiles("P", ["A01"], Concentration=1.0).with_columns(
        text.alias("Metadata_Concentration"),
        text.alias("Cells_AreaShape_Area"),
        pl.lit(float("inf")).alias("Metadata_Object_Count"),
    )
    write(tmp_path / "in", "p.parquet", frame)
    list(import_source(lake, tmp_path / "in", "S"))
    row = lake.read("well_profiles").row(0, named=True)
    assert (row["Metadata_Concentration"], row["Metadata_CellCount"]) == (3.5, None)


def test_a_feature_of_structs_does_not_decide_what_kind_of_profiles_these_are(
    tmp_path: Path, lake: Lake
) -> None:
    frame = profiles("P", ["A01"]).with_columns(pl.struct(x=1.0).alias("Cells_AreaShape_Area"))
    write(tmp_path / "in", "p.parquet", frame)
    imported = next(iter(import_source(lake, tmp_path / "in", "S")))
    assert [p.problem for p in imported.problems] == ["not_a_text"]
