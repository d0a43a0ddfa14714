"""Planes catalogued per second, and peak memory, for each layout: `python benchmarks/catalogue.py`.

Writes a plate of tiny images per layout into a temporary folder; one process per measurement.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

HARMONY = """    <Image Version="1">
      <id>{id}</id><State>Ok</State><URL>{url}</URL><Row>{row}</Row><Col>{column}</Col>
      <FieldID>{site}</FieldID><PlaneID>1</PlaneID><TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID>
      <FlimID>1</FlimID><ChannelName>{name}</ChannelName><ImageType>Signal</ImageType>
      <AcquisitionType>Confocal</AcquisitionType><IlluminationType>Epifluorescence</IlluminationType>
      <ChannelType>Fluorescence</ChannelType>
      <ImageResolutionX Unit="m">6E-07</ImageResolutionX><ImageResolutionY Unit="m">6E-07</ImageResolutionY>
      <ImageSizeX>{size}</ImageSizeX><ImageSizeY>{size}</ImageSizeY><BinningX>2</BinningX><BinningY>2</BinningY>
      <MaxIntensity>65535</MaxIntensity><CameraType>Camera</CameraType>
      <PositionX Unit="m">-0.0006</PositionX><PositionY Unit="m">0.0006</PositionY>
      <PositionZ Unit="m">2E-05</PositionZ><AbsPositionZ Unit="m">0.1375</AbsPositionZ>
      <MeasurementTimeOffset Unit="s">0</MeasurementTimeOffset><AbsTime>2024-01-02T03:04:05+01:00</AbsTime>
      <MainExcitationWavelength Unit="nm">475</MainExcitationWavelength>
      <MainEmissionWavelength Unit="nm">525</MainEmissionWavelength>
      <ObjectiveMagnification Unit="">20</ObjectiveMagnification><ObjectiveNA Unit="">0.8</ObjectiveNA>
      <ExposureTime Unit="s">0.1</ExposureTime>
    </Image>
"""
PROPERTIES = "".join(
    f'<custom-prop id="Property {n}" type="float" value="{n}"/>\r\n' for n in range(70)
)
METASERIES = (
    '<MetaData>\r\n<PlaneInfo>\r\n<prop id="spatial-calibration-state" type="bool" value="on"/>\r\n'
    '<prop id="spatial-calibration-x" type="float" value="0.65"/>\r\n'
    '<prop id="spatial-calibration-units" type="string" value="um"/>\r\n'
    '<prop id="stage-position-x" type="float" value="{x}"/>\r\n'
    '<prop id="stage-position-y" type="float" value="{y}"/>\r\n'
    '<prop id="_IllumSetting_" type="string" value="{name}"/>\r\n'
    + PROPERTIES
    + "</PlaneInfo>\r\n</MetaData>"
)
CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")


def places(planes: int) -> list[tuple[int, int, int, int]]:
    """Row, column, site and channel number of the planes of a 384-well plate."""
    found = []
    site = 0
    while len(found) < planes:
        site += 1
        found += [(r, c, site, n) for r in range(1, 17) for c in range(1, 25) for n in range(1, 6)]
    return found[:planes]


def write_plate(folder: Path, layout: str, planes: int, size: int) -> None:
    """A plate in one layout; files are hard links to one image where the layout allows it."""
    folder.mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 4000, (size, size), dtype=np.uint16)
    images = folder / "Images" if layout == "operetta" else folder
    images.mkdir(exist_ok=True)
    template = folder.parent / "template.tif"
    tifffile.imwrite(template, image)
    entries = []
    for row, column, site, channel in places(planes):
        well = f"{chr(64 + row)}{column:02d}"
        if layout == "operetta":
            name = f"r{row:02d}c{column:02d}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"
            label = CHANNELS[channel - 1]
            facts = {"id": name[:12], "url": name, "row": row, "column": column, "site": site}
            entries.append(HARMONY.format(**facts, channel=channel, name=label, size=size))
        elif layout == "imagexpress":
            name = f"plate_{well}_s{site}_w{channel}.TIF"
            if not (folder.parent / f"w{channel}.tif").exists():
                text = METASERIES.format(x=1000, y=2000, name=CHANNELS[channel - 1])
                tifffile.imwrite(
                    folder.parent / f"w{channel}.tif", image, description=text, metadata=None
                )
            template = folder.parent / f"w{channel}.tif"
        else:
            name = f"{well}_s{site}_w{channel}_{CHANNELS[channel - 1]}.tif"
        _link(template, images / name)
    if entries:
        head = (
            '<?xml version="1.0" encoding="utf-8"?>\n<EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">\n'
            "  <Plates><Plate><PlateRows>16</PlateRows><PlateColumns>24</PlateColumns></Plate></Plates>\n  <Images>\n"
        )
        (images / "Index.idx.xml").write_text(
            head + "".join(entries) + "  </Images>\n</EvaluationInputData>\n"
        )


def _link(source: Path, target: Path) -> None:
    """A hard link; a copy where a file can't have more links (ext4 stops at 65,000)."""
    try:
        target.hardlink_to(source)
    except OSError:
        target.write_bytes(source.read_bytes())


def measure(folder: str, checksum: str) -> dict[str, float]:
    """Catalogue a plate in this process: seconds, planes and peak memory."""
    from phenolake.images.catalog import catalogue_plate
    from phenolake.screens.discover import Screen

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    screen = Screen.open(Path(folder))
    (plate,) = screen.plates()
    start = time.perf_counter()
    processor = time.process_time()
    found = catalogue_plate(screen, plate, checksum=checksum)  # type: ignore[arg-type]
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "planes": found.rows.height,
        "problems": len([p for p in found.problems if p.problem != "no_plate_map"]),
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "libraries_MB": before / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument(
        "--layouts", nargs="+", default=["operetta", "imagexpress", "filename_pattern"]
    )
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*given.measure)))
        return
    for layout in given.layouts:
        with tempfile.TemporaryDirectory() as folder:
            write_plate(Path(folder) / "screen" / "P1", layout, given.planes, given.size)
            for checksum in ("none", "full"):
                command = [
                    sys.executable,
                    __file__,
                    "--measure",
                    str(Path(folder) / "screen"),
                    checksum,
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                print(
                    f"{layout:17} checksum {checksum}: {found['planes']:,} planes in {found['seconds']:.1f} s "
                    f"({found['planes'] / found['seconds']:,.0f}/s; {found['processor_seconds']:.1f} s of processor), "
                    f"peak {found['peak_MB']:,.0f} MB, {found['problems']} problems",
                    flush=True,
                )


if __name__ == "__main__":
    main()
