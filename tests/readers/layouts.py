"""Small folders as instruments write them, made on the spot."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import tifffile

SIZE = 32


def pixels(seed: int = 0, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 4000, (size, size), dtype=np.uint16)


def image_record(
    row: int, column: int, site: int, plane: int, channel: int, t: int = 0, *, inline: bool
) -> str:
    name = f"r{row:02d}c{column:02d}f{site:02d}p{plane:02d}-ch{channel}sk{t + 1}fk1fl1.tiff"
    facts = (
        f"<ChannelName>{'DAPI' if channel == 1 else 'FITC'}</ChannelName>"
        '<ImageResolutionX Unit="m">6.5E-07</ImageResolutionX><ExposureTime Unit="s">0.1</ExposureTime>'
        '<MainExcitationWavelength Unit="nm">375</MainExcitationWavelength>'
    )
    return (
        f"<Image><id>{name}</id><State>Ok</State><URL>{name}</URL><Row>{row}</Row><Col>{column}</Col>"
        f"<FieldID>{site}</FieldID><PlaneID>{plane}</PlaneID><TimepointID>{t}</TimepointID><ChannelID>{channel}</ChannelID>"
        f'<PositionX Unit="m">0.0001</PositionX><PositionZ Unit="m">{plane * 2e-6:.1e}</PositionZ>'
        f"<AbsTime>2024-01-02T03:04:05+01:00</AbsTime>{facts if inline else ''}</Image>"
    )


def harmony(
    folder: Path, version: str = "V5", wells: tuple = ((2, 3),), planes: int = 2, channels: int = 2
) -> Path:
    """An Operetta export; from V6 on channels are described in `Maps` and the index is `Index.xml`."""
    images = folder / "Images"
    images.mkdir(parents=True)
    inline = version < "V6"
    space = (
        "43B2A954-E3C3-47E1-B392-6635266B0DD3"
        if version > "V6"
        else "http://www.perkinelmer.com/PEHH"
    )
    places = [
        (r, c, s, z, n)
        for r, c in wells
        for s in (1, 2)
        for z in range(1, planes + 1)
        for n in range(1, channels + 1)
    ]
    entries = "".join(
        f'<Entry ChannelID="{n}"><ChannelName>{"DAPI" if n == 1 else "FITC"}</ChannelName>'
        '<ImageResolutionX Unit="m">6.5E-07</ImageResolutionX><ExposureTime Unit="s">0.1</ExposureTime>'
        "<MainExcitationWavelength>375</MainExcitationWavelength></Entry>"
        for n in range(1, channels + 1)
    )
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><EvaluationInputData xmlns="{space}/Harmony{version}">'
        "<InstrumentType>Phenix</InstrumentType><Plates><Plate><PlateRows>16</PlateRows><PlateColumns>24</PlateColumns></Plate></Plates>"
        f"<Maps><Map>{'' if inline else entries}</Map></Maps><Images>"
        + "".join(image_record(*place, inline=inline) for place in places)
        + "</Images></EvaluationInputData>"
    )
    (images / ("Index.idx.xml" if inline else "Index.xml")).write_text(
        "\ufeff" + text, encoding="utf-8"
    )
    for r, c, s, z, n in places:
        tifffile.imwrite(
            images / f"r{r:02d}c{c:02d}f{s:02d}p{z:02d}-ch{n}sk1fk1fl1.tiff", pixels(z)
        )
    return folder


def cellvoyager(folder: Path) -> Path:
    folder.mkdir(parents=True)
    bts = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
    records = []
    for z in (1, 2):
        for channel in (1, 2):
            name = f"m_B02_T0001F001L01A01Z{z:02d}C{channel:02d}.tif"
            tifffile.imwrite(folder / name, pixels(z))
            records.append(
                f'<bts:MeasurementRecord bts:Type="IMG" bts:Time="2024-01-02T03:04:05+01:00" '
                f'bts:Column="2" bts:Row="2" '
                f'bts:TimePoint="1" bts:FieldIndex="1" bts:ZIndex="{z}" '
                f'bts:X="1" bts:Y="2" bts:Z="{3 * z}" bts:Ch="{channel}">'
                f"{name}</bts:MeasurementRecord>"
            )
    tifffile.imwrite(folder / "DC_CAM1.tif", pixels())
    (folder / "MeasurementData.mlf").write_text(
        f"<bts:MeasurementData {bts}>{''.join(records)}</bts:MeasurementData>"
    )
    (folder / "MeasurementDetail.mrf").write_text(
        f'<bts:MeasurementDetail bts:RowCount="8" bts:ColumnCount="12" bts:TargetSystem="CV8000" {bts}>'
        + "".join(
            f'<bts:MeasurementChannel bts:Ch="{n}" bts:HorizontalPixelDimension="0.325" />'
            for n in (1, 2)
        )
        + "</bts:MeasurementDetail>"
    )
    (folder / "run.mes").write_text(
        f"<bts:MeasurementSetting {bts}><bts:TargetWell bts:Row='2' bts:Column='2'>true</bts:TargetWell>"
        "<bts:TargetWell bts:Row='3' bts:Column='2'>true</bts:TargetWell>"
        '<bts:Channel bts:Ch="1" bts:Target="405" bts:Acquisition="BP445/45" bts:ExposureTime="100" />'
        '<bts:Channel bts:Ch="2" bts:Target="488" bts:Acquisition="BP525/50" bts:ExposureTime="200" />'
        "</bts:MeasurementSetting>"
    )
    return folder


def imagexpress(folder: Path) -> Path:
    folder.mkdir(parents=True)
    off = ", ".join(["FALSE"] * 12)
    lines = [
        '"HTSInfoFile", Version 1.0',
        '"TimePoints", 2',
        '"ZSeries", FALSE',
        '"XWells", 12',
        '"YWells", 8',
    ]
    lines += [f'"WellsSelection{r}", {"TRUE, " + off[7:] if r == 1 else off}' for r in range(1, 9)]
    lines += [
        '"Sites", TRUE',
        '"XSites", 1',
        '"YSites", 1',
        '"SiteSelection1", TRUE',
        '"NWavelengths", 2',
    ]
    lines += ['"WaveName1", "DAPI"', '"WaveName2", "FITC"', '"EndFile"']
    (folder / "plate.HTD").write_text("\r\n".join(lines))
    for t in (1, 2):
        (folder / f"TimePoint_{t}").mkdir()
        for wave in (1, 2):
            tifffile.imwrite(folder / f"TimePoint_{t}" / f"plate_A01_s1_w{wave}.TIF", pixels(wave))
        (folder / f"TimePoint_{t}" / "plate_A01_s1_w1_thumb.TIF").write_bytes(b"x")
    return folder


def c01(path: Path, image: np.ndarray | None = None, per_metre: int = 1_000_000) -> Path:
    image = pixels() if image is None else image
    header = (
        np.array([40, image.shape[1], image.shape[0]], "<i4").tobytes()
        + np.array([1, 16], "<u2").tobytes()
    )
    header += np.array([3, 0, per_metre, per_metre, 0, 0], "<i4").tobytes() + bytes(12)
    path.write_bytes(b"\x00\x00\x00\x10" + zlib.compress(header + image.tobytes()))
    return path


def ome_zarr(folder: Path, version: str = "0.4") -> Path:
    """A one-well plate of one image (c 2, z 3), written with zarr."""
    import zarr

    store = folder / "plate.zarr"
    fmt = 2 if version == "0.4" else 3

    def attributes(place: str, values: dict) -> None:
        group = zarr.open_group(store / place if place else store, mode="a", zarr_format=fmt)
        group.attrs.update(values if fmt == 2 else {"ome": {"version": version, **values}})

    names = {
        "rows": [{"name": n} for n in "ABCDEFGH"],
        "columns": [{"name": str(n)} for n in range(1, 13)],
    }
    well = {"path": "B/3", "rowIndex": 1, "columnIndex": 2}
    lost = {"path": "C/3", "rowIndex": 2, "columnIndex": 2}
    attributes("", {"plate": {**names, "wells": [well, lost]}})
    attributes("B/3", {"well": {"images": [{"path": "0"}]}})
    axes = [
        {"name": "c"},
        {"name": "z", "unit": "micrometer"},
        {"name": "y", "unit": "micrometer"},
        {"name": "x", "unit": "micrometer"},
    ]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [1, 2.5, 0.5, 0.5]}],
    }
    attributes(
        "B/3/0",
        {
            "multiscales": [{"axes": axes, "datasets": [level]}],
            "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
        },
    )
    data = np.stack([pixels(n) for n in range(6)]).reshape(2, 3, SIZE, SIZE)
    array = zarr.create_array(
        store / "B/3/0/0",
        shape=data.shape,
        dtype="uint16",
        chunks=(1, 1, SIZE, SIZE),
        zarr_format=fmt,
    )
    array[:] = data
    return folder


def load_data(folder: Path, rows: list[dict[str, str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = list(rows[0])
    lines = [",".join(names), *(",".join(row[n] for n in names) for row in rows)]
    (folder / "load_data.csv").write_text("\n".join(lines) + "\n")
    return folder


def bad_json(path: Path, depth: int) -> None:
    path.write_text("[" * depth + json.dumps({}) + "]" * depth)
