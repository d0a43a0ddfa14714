"""The scores of segmentation methods on a screen's annotated images."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tifffile

from plates import write_screen
from scenario import failure_of, installation
from segmentation.fields import field


def write_annotated(folder, count=2):
    """Annotated images of two conditions, and one whose mask can't be read."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        image, nuclei, _ = field(160, seed=number)
        tifffile.imwrite(folder / "images" / f"i{number}.tif", image[0].astype(np.uint16))
        tifffile.imwrite(folder / "masks" / f"i{number}.tif", (nuclei * 10).astype(np.uint16))
    tifffile.imwrite(folder / "images" / "bad.tif", np.zeros((5, 5), np.uint8))
    (folder / "masks" / "bad.tif").write_bytes(b"")
    lines = "".join(f"i{number},c{number % 2}\n" for number in range(count))
    (folder / "index.csv").write_text("image,condition\n" + lines)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("scored")
    folder = write_screen(root / "gfp", plates=("P1",))
    write_annotated(folder / "truth")
    with (folder / "screen.yaml").open("a") as file:
        file.write("annotated: truth\n")
    with installation(root / "home") as home:
        home.add(folder)
        run = home.run_screen("gfp", only="segmentation_scores")
        assert run.success, failure_of(run)
        (event,) = run.get_asset_materialization_events()
        yield home.lake.read("segmentation_scores"), event.materialization.metadata


def test_every_method_has_rows_for_each_condition_and_threshold(scored):
    rows, _ = scored
    classical = rows.filter(pl.col("method") == "classical")
    assert sorted(classical["condition"].unique()) == ["all images", "c0", "c1"]
    assert classical.height == 3 * 10
    overall = classical.filter((pl.col("condition") == "all images") & (pl.col("threshold") == 0.5))
    row = overall.row(0, named=True)
    assert (row["images"], row["f1"], row["splits"], row["merges"]) == (2, 1.0, 0, 0)
    assert row["seconds_per_image"] > 0


def test_metadata_show_figures_pictures_and_what_could_not_be_read(scored):
    _, metadata = scored
    assert metadata["annotated images"].value == 2
    assert metadata["images that can't be read"].value == 1
    assert "data:image/png;base64," in metadata["worst image of classical"].value
    assert metadata["classical"].value["f1"] == 1.0


def test_without_annotated_images_the_table_is_empty_and_says_so(tmp_path):
    with installation(tmp_path / "home") as home:
        home.add(write_screen(tmp_path / "plain", plates=("P1",)))
        run = home.run_screen("plain", only="segmentation_scores")
        assert run.success, failure_of(run)
        (event,) = run.get_asset_materialization_events()
    assert "screen.yaml" in event.materialization.metadata["annotated images"].value


def test_a_folder_without_masks_is_named(tmp_path):
    folder = write_screen(tmp_path / "plain", plates=("P1",))
    with (folder / "screen.yaml").open("a") as file:
        file.write("annotated: nowhere\n")
    with installation(tmp_path / "home") as home:
        home.add(folder)
        run = home.run_screen("plain", only="segmentation_scores")
        assert "nowhere: found no image with a mask" in failure_of(run)
