"""Our values against the tables that CellProfiler itself wrote, on objects that are surely the same.

Run with `python benchmarks/features_against_cellprofiler.py [DATA]`, DATA being the folder of
`cp_examplehuman` and `nf1_cellpainting_fields`. Neither set holds CellProfiler's label images:

- Nuclei of cp_examplehuman are made again from its recorded threshold (Gaussian of 1 pixel, minimum
  cross-entropy value of Image.csv, holes filled). Only those whose area and centre equal the
  table's to 1e-6 count: their pixels are the same. Nuclei that CellProfiler split are left out.
- Of nf1_cellpainting_fields each field's table has one cell; its nucleus, cell and cytoplasm are
  the parts of the foreground masks whose bounding box and area equal the table's.

CellProfiler measured illumination-corrected images there, and the set holds raw ones: they are
compared as they are, and less one number per channel that makes the mean intensities equal.

Prints, for each set, the number of features, how many agree within 1e-3 in the median, and every
other one with the reason.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform")]

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import tifffile  # noqa: E402
from scipy import ndimage  # noqa: E402

from phenolake.features import measure  # noqa: E402

LIMIT = 1e-3
#: Why columns differ, by a part of their name; the first that fits.
OF_EXAMPLE_HUMAN = {
    "Orientation": "radians in CellProfiler 4.0.6, degrees here and in later versions",
    "Solidity": "hull through pixel centres in 4.0.6, around pixel squares here and later",
    "MaxIntensity": "another of several equally bright pixels of an 8-bit image",
}
OF_NF1 = {
    "Costes": "1 for all pairs there, anticorrelated ones too: no threshold was found",
    "RWC": "hangs on ranks: a slope of 3 counts over the nucleus moves it by some per cent",
    "Neighbors": "the other nuclei touch and are not told apart here",
    "Granularity": "made of the whole image, over which the illumination function changes",
    "": "the illumination function changes by up to 10 counts over the nucleus",
}
OF_RAW = {"": "raw image here, illumination function subtracted there"}


def relative(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Difference over the larger size; 0 where both lack the value or are 0, 1 where one lacks it."""
    size = np.maximum(np.abs(ours), np.abs(theirs))
    difference = np.abs(ours - theirs)
    out = np.divide(difference, size, out=np.zeros_like(size), where=size > 1e-9)
    out[np.isnan(ours) != np.isnan(theirs)] = 1.0
    return out


def example_human(data: Path) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Ours and theirs of the nuclei whose pixels are known, and how many there are in the table."""
    folder = data / "cp_examplehuman"
    theirs = pl.read_csv(folder / "Nuclei.csv")
    threshold = pl.read_csv(folder / "Image.csv")["Threshold_FinalThreshold_Nuclei"][0]
    image = np.stack(
        [tifffile.imread(folder / f"AS_09125_050116030001_D03f00d{d}.tif") for d in range(2)]
    )
    smooth = ndimage.gaussian_filter(image[0] / 255, 1, mode="constant")
    labels = filled(ndimage.label(smooth >= threshold, np.ones((3, 3)))[0])
    ours = measure(image, ["DNA", "PH3"], {"Nuclei": labels}, "full")
    ours = ours.rename({name: name.removeprefix("Nuclei_") for name in ours.columns})
    centres = ours.select("AreaShape_Center_Y", "AreaShape_Center_X").to_numpy()
    pairs = []
    for row, (area, y, x) in enumerate(
        theirs.select("AreaShape_Area", "AreaShape_Center_Y", "AreaShape_Center_X").iter_rows()
    ):
        apart = np.abs(centres - (y, x)).max(axis=1)
        nearest = int(apart.argmin())
        if apart[nearest] < 1e-6 and ours["AreaShape_Area"][nearest] == area:
            pairs.append((nearest, row))
    mine, rows = (list(column) for column in zip(*pairs, strict=True))
    return ours[mine], theirs[rows], theirs.height


def filled(labels: np.ndarray) -> np.ndarray:
    """The same objects without holes."""
    out = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        out[box][ndimage.binary_fill_holes(labels[box] == number)] = number
    return out


def nf1(data: Path, subtract: bool) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Ours and theirs of one cell in each field, and the compartments that could be found.

    CellProfiler measured images less a smooth illumination function that the set does not hold.
    With `subtract` each channel is lowered by the one number that makes the mean intensity of the
    object equal.
    """
    folder = data / "nf1_cellpainting_fields"
    theirs = pl.read_parquet(folder / "cellprofiler_single_cells.parquet")
    rows, found, records = [], [], []
    for record in theirs.iter_rows(named=True):
        well = record["Image_Metadata_Well_x"]
        planes = sorted((folder / "images").glob(f"{well}_*.tif"))
        image = np.stack([tifffile.imread(path) for path in planes])
        channels = [path.stem.split("_")[-2] for path in planes]
        masks = {}
        for path in sorted((folder / "masks").glob(f"{well}_*.tiff")):
            name = path.stem.split("_Mask")[-1]
            parts = ndimage.label(tifffile.imread(path) > 0, np.ones((3, 3)))[0]
            box = [
                int(record[f"{name}_AreaShape_BoundingBox{end}_{axis}"])
                for end in ("Minimum", "Maximum")
                for axis in "YX"
            ]
            for number, at in enumerate(ndimage.find_objects(parts), 1):
                same = [at[0].start, at[1].start, at[0].stop, at[1].stop] == box
                area = np.count_nonzero(parts[at] == number)
                if same and area == record[f"{name}_AreaShape_Area"]:
                    masks[name] = (parts == number).astype(np.int32)
                    found.append(f"{well} {name}")
        if masks:
            if subtract:
                image = lowered(image, channels, masks, record)
            rows.append(measure(image, channels, masks, "full"))
            records.append(record)
    return pl.concat(rows, how="diagonal"), pl.DataFrame(records, infer_schema_length=None), found


def lowered(image, channels: list[str], masks: dict[str, np.ndarray], record: dict) -> np.ndarray:
    """The image in 0..1, each channel less what its mean in the first object is too high."""
    name, mask = next(iter(masks.items()))
    means = [record[f"{name}_Intensity_MeanIntensity_{channel}"] for channel in channels]
    scaled = image / 65535
    too_high = scaled[:, mask > 0].mean(axis=1) - means
    return np.maximum(scaled - too_high[:, None, None], 0.0)


def compare(title: str, ours: pl.DataFrame, theirs: pl.DataFrame, reasons: dict[str, str]) -> None:
    """Medians over objects of the relative difference, of columns that both have."""
    names = [
        name for name in ours.columns if name in theirs.columns and theirs[name].dtype.is_numeric()
    ]
    medians = {}
    for name in names:
        a = ours[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        b = theirs[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        measured = ours[name].is_not_null().to_numpy()
        if measured.any():
            medians[name] = float(np.median(relative(a[measured], b[measured])))
    misses = {name: value for name, value in medians.items() if not value <= LIMIT}
    print(
        f"\n{title}: {len(medians)} features in both, {len(medians) - len(misses)} within {LIMIT}"
    )
    for name, value in misses.items():
        reason = next((text for part, text in reasons.items() if part in name), "unexplained")
        print(f"  {name:52s} {value:8.1e}  {reason}")


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data"
    ours, theirs, total = example_human(data)
    title = f"cp_examplehuman, {ours.height} of {total} nuclei"
    compare(title, ours, theirs, OF_EXAMPLE_HUMAN)
    for subtract in (True, False):
        ours, theirs, found = nf1(data, subtract)
        how = "each channel less one number" if subtract else "raw images"
        title = f"nf1_cellpainting_fields, {', '.join(found)}, {how}"
        compare(title, ours, theirs, OF_NF1 if subtract else OF_RAW)


if __name__ == "__main__":
    main()
