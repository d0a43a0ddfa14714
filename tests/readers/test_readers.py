"""Each reader on a small folder of its own layout: facts, what is missing, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenolake.errors import ImageReadError
from phenolake.images.catalog import Catalog, catalogue_plate
from phenolake.images.pixels import read_plane
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers import detect_reader, reader_named
from phenolake.images.sites import complete_sites, read_site
from phenolake.screens.discover import Screen
from readers import layouts


def items(folder: Path, reader: str) -> tuple[list[Plane], list[Problem]]:
    assert detect_reader(folder).reader == reader
    found = list(reader_named(reader).planes(folder))
    return [i for i in found if isinstance(i, Plane)], [i for i in found if isinstance(i, Problem)]


def catalogue(folder: Path) -> Catalog:
    screen = Screen.open(folder)
    return catalogue_plate(screen, screen.plates()[0])


@pytest.mark.parametrize("version", ["V1", "V5", "V6", "V7"])
def test_both_generations_of_the_harmony_index_say_the_same(tmp_path: Path, version: str) -> None:
    planes, problems = items(layouts.harmony(tmp_path / "plate", version), "operetta")
    assert not problems
    assert len(planes) == 8
    first = planes[0]
    assert (first.well.name, first.site, first.channel, first.z, first.instrument) == (
        "B03",
        1,
        "DAPI",
        0,
        "Phenix",
    )
    assert first.pixel_size_um == pytest.approx(0.65)
    assert (first.exposure_ms, first.excitation_nm) == (pytest.approx(100), 375.0)
    assert reader_named("operetta").plate_wells(tmp_path / "plate") == 384


def test_a_z_step_follows_from_heights(tmp_path: Path) -> None:
    rows = catalogue(layouts.harmony(tmp_path / "plate")).rows
    assert rows["z_step_um"].to_list() == [pytest.approx(2.0)] * rows.height


def test_an_image_that_the_index_names_and_the_folder_lacks_is_missing(tmp_path: Path) -> None:
    folder = layouts.harmony(tmp_path / "plate")
    (folder / "Images" / "r02c03f02p01-ch1sk1fk1fl1.tiff").unlink()
    planes, problems = items(folder, "operetta")
    assert len(planes) == 7
    assert [(p.problem, p.well, p.site, p.channel) for p in problems] == [
        ("missing_plane", "B03", 2, "DAPI")
    ]


def test_a_cut_index_gives_the_planes_before_the_cut(tmp_path: Path) -> None:
    folder = layouts.harmony(tmp_path / "plate")
    index = folder / "Images" / "Index.idx.xml"
    text = index.read_bytes()
    index.write_bytes(text[: text.index(b"<Image>", len(text) // 2)])
    planes, problems = items(folder, "operetta")
    assert 0 < len(planes) < 8
    assert [p.problem for p in problems] == ["damaged_index"]


@pytest.mark.parametrize(
    "name",
    ["../../secret.tiff", "/etc/passwd", "C:\\secret.tiff", "a/../../secret.tiff", "link.tiff"],
)
def test_an_index_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    folder = layouts.harmony(tmp_path / "plate")
    tifffile.imwrite(tmp_path / "secret.tiff", layouts.pixels())
    (folder / "Images" / "link.tiff").symlink_to(tmp_path / "secret.tiff")
    index = folder / "Images" / "Index.idx.xml"
    known = "<URL>r02c03f01p01-ch1sk1fk1fl1.tiff</URL>"
    index.write_text(
        index.read_text(encoding="utf-8").replace(known, f"<URL>{name}</URL>"), encoding="utf-8"
    )
    planes, problems = items(folder, "operetta")
    assert len(planes) == 7
    assert problems[0].problem in ("path_outside_plate", "missing_plane")


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_and_entities_are_refused_in_any_encoding(
    tmp_path: Path, head: str, encoding: str
) -> None:
    folder = layouts.harmony(tmp_path / "plate")
    index = folder / "Images" / "Index.idx.xml"
    body = index.read_text(encoding="utf-8-sig").split("?>", 1)[1]
    index.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{head}{body}'.encode(encoding))
    planes, problems = items(folder, "operetta")
    assert planes == []
    assert [p.problem for p in problems] == ["damaged_index"]
    assert "refused" in str(problems[0].got)


@pytest.mark.parametrize("encoding", ["umf-8", "utf99999999999999999999", "rot13"])
def test_an_index_in_an_encoding_nobody_knows_is_a_problem(tmp_path: Path, encoding: str) -> None:
    folder = layouts.harmony(tmp_path / "plate")
    index = folder / "Images" / "Index.idx.xml"
    body = index.read_text(encoding="utf-8-sig").split("?>", 1)[1]
    index.write_text(f'<?xml version="1.0" encoding="{encoding}"?>{body}', encoding="utf-8")
    planes, problems = items(folder, "operetta")
    assert planes == []
    assert [p.problem for p in problems] == ["damaged_index"]


def test_cellvoyager_lists_images_and_wells_that_are_not_there(tmp_path: Path) -> None:
    folder = layouts.cellvoyager(tmp_path / "plate")
    (folder / "m_B02_T0001F001L01A01Z02C02.tif").unlink()
    planes, problems = items(folder, "cellvoyager")
    assert [p.channel for p in planes] == ["405 BP445/45", "488 BP525/50", "405 BP445/45"]
    assert [(p.problem, p.well) for p in problems] == [
        ("missing_plane", "B02"),
        ("missing_well", "C02"),
    ]
    assert planes[2].stage_z_um == 6.0
    assert reader_named("cellvoyager").plate_wells(folder) == 96


def test_imagexpress_time_points_and_thumbnails(tmp_path: Path) -> None:
    folder = layouts.imagexpress(tmp_path / "plate")
    planes, problems = items(folder, "imagexpress")
    assert [(p.channel, p.t) for p in planes] == [
        ("DAPI", 0),
        ("FITC", 0),
        ("DAPI", 1),
        ("FITC", 1),
    ]
    assert problems == []
    (folder / "TimePoint_2" / "plate_A01_s1_w2.TIF").unlink()
    _, problems = items(folder, "imagexpress")
    assert [(p.problem, p.well, p.channel) for p in problems] == [("missing_plane", "A01", "FITC")]


def test_projections_beside_a_stack_keep_a_place_of_their_own(tmp_path: Path) -> None:
    for place in ("", "ZStep_1", "ZStep_2"):
        (tmp_path / place).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / place / "p_A01_s1_w1.tif", layouts.pixels())
    planes = [p for p in reader_named("imagexpress").planes(tmp_path) if isinstance(p, Plane)]
    assert sorted((p.z, p.projection) for p in planes) == [(-1, "unknown"), (0, None), (1, None)]


def test_cellomics_pixels_size_and_place(tmp_path: Path) -> None:
    image = layouts.pixels(3)
    path = layouts.c01(tmp_path / "MFGTMP_240101_B02f03d1.C01", image)
    planes, problems = items(tmp_path, "cellomics")
    assert problems == []
    (plane,) = planes
    assert (plane.well.name, plane.site, plane.channel, plane.pixel_size_um) == (
        "B02",
        4,
        "d1",
        1.0,
    )
    assert (read_plane(path) == image).all()


def test_a_c01_file_without_a_well_is_kept_and_named(tmp_path: Path) -> None:
    layouts.c01(tmp_path / "scan.c01")
    planes, problems = items(tmp_path, "cellomics")
    assert [p.well.name for p in planes] == ["A01"]
    assert [p.problem for p in problems] == ["well_assumed"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_plates_of_both_versions(tmp_path: Path, version: str) -> None:
    folder = layouts.ome_zarr(tmp_path / "screen", version)
    planes, problems = items(folder, "ome_zarr")
    assert [(p.channel, p.z, p.index_in_file) for p in planes] == [
        (c, z, 3 * i + z) for i, c in enumerate(("DAPI", "GFP")) for z in range(3)
    ]
    assert {(p.well.name, p.pixel_size_um, p.z_step_um) for p in planes} == {("B03", 0.5, 2.5)}
    assert [(p.problem, p.well) for p in problems] == [("missing_plane", "C03")]
    assert (read_plane(planes[4].path, 4) == layouts.pixels(4)).all()
    assert reader_named("ome_zarr").plate_wells(folder) == 96
    found = catalogue(folder)
    assert found.rows.height == 6
    assert found.rows["bytes"][0] > 0


def test_ome_zarr_reads_no_chunk_through_a_link(tmp_path: Path) -> None:
    folder = layouts.ome_zarr(tmp_path / "screen", "0.4")
    (plane, *_), _ = items(folder, "ome_zarr")
    chunk = next(p for p in sorted(plane.path.rglob("*")) if p.is_file() and p.name[0].isdigit())
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageReadError, match="link out of the store"):
        read_plane(plane.path, 0)


def test_ome_zarr_with_an_infinite_number_loses_one_well(tmp_path: Path) -> None:
    folder = layouts.ome_zarr(tmp_path / "screen", "0.4")
    file = next(p for p in folder.rglob(".zattrs") if "rowIndex" in p.read_text())
    attributes = json.loads(file.read_text())
    attributes["plate"]["wells"][0]["columnIndex"] = float("inf")
    file.write_text(json.dumps(attributes))
    planes, problems = items(folder, "ome_zarr")
    assert planes == []
    assert problems[0].problem == "bad_index_entry"


def test_load_data_finds_images_by_the_last_folders_of_foreign_paths(tmp_path: Path) -> None:
    (tmp_path / "images" / "P1").mkdir(parents=True)
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / "images" / "P1" / name, layouts.pixels())
    common = {"Metadata_Plate": "P1", "Metadata_Well": "C05", "Metadata_Site": "2"}
    rows = [
        {**common, "FileName_OrigDNA": "a.tif", "PathName_OrigDNA": "/data/x/bucket/images/P1/"}
    ]
    rows[0] |= {"FileName_OrigER": "b.tif", "PathName_OrigER": "/data/x/bucket/images/P1"}
    rows += [
        {
            **rows[0],
            "Metadata_Well": "C06",
            "FileName_OrigER": "../../../etc/passwd",
            "FileName_OrigDNA": "gone.tif",
        }
    ]
    layouts.load_data(tmp_path, rows)
    planes, problems = items(tmp_path, "load_data")
    assert [(p.well.name, p.site, p.channel, p.path.name) for p in planes] == [
        ("C05", 2, "DNA", "a.tif"),
        ("C05", 2, "ER", "b.tif"),
    ]
    assert [p.problem for p in problems] == ["missing_plane", "path_outside_plate"]


def test_a_list_of_several_plates_gives_each_its_own(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", layouts.pixels())
    tifffile.imwrite(tmp_path / "b.tif", layouts.pixels())
    rows = [
        {"Metadata_Plate": p, "Metadata_Well": "A01", "FileName_DNA": f, "PathName_DNA": ""}
        for p, f in (("P1", "a.tif"), ("P2", "b.tif"))
    ]
    screen = Screen.open(layouts.load_data(tmp_path, rows))
    assert [plate.key.plate for plate in screen.plates()] == ["P1", "P2"]
    found = [catalogue_plate(screen, plate).rows["uri"].to_list() for plate in screen.plates()]
    assert [Path(uris[0]).name for uris in found] == ["a.tif", "b.tif"]


def test_metamorph_stacks_with_one_page_give_every_plane(tmp_path: Path, shared_data: Path) -> None:
    shutil.copy(
        shared_data / "vendor_layouts" / "MetaMorph" / "MetamorphImage.tif", tmp_path / "x_w1.stk"
    )
    (plane,), problems = items(tmp_path, "metamorph")
    assert problems == []
    assert (plane.well.name, plane.site, plane.channel, plane.emission_nm) == (
        "P24",
        9,
        "Cy5",
        675.0,
    )


def test_imagej_stacks_are_read_page_by_page(tmp_path: Path) -> None:
    data = np.stack([layouts.pixels(n) for n in range(6)]).reshape(3, 2, layouts.SIZE, layouts.SIZE)
    tifffile.imwrite(tmp_path / "A01.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    planes, _ = items(tmp_path, "filename_pattern")
    assert [(p.channel, p.z, p.index_in_file) for p in planes] == [
        (str(i % 2 + 1), i // 2, i) for i in range(6)
    ]
    assert all(
        (read_plane(p.path, p.index_in_file) == data[p.z, int(p.channel) - 1]).all() for p in planes
    )


def test_a_set_of_ome_files_is_described_by_any_of_them_once(tmp_path: Path) -> None:
    uuids = {n: f'<UUID FileName="f{n}.ome.tif">urn:uuid:{n}</UUID>' for n in range(3)}
    blocks = "".join(
        f'<TiffData IFD="0" FirstZ="{n}" PlaneCount="1">{u}</TiffData>' for n, u in uuids.items()
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Plate ID="Plate:0" Name="P" Rows="8" Columns="12"><Well ID="W" Row="2" Column="4">'
        '<WellSample ID="S" Index="0">'
        '<ImageRef ID="Image:0"/></WellSample></Well></Plate>'
        '<Image ID="Image:0"><AcquisitionDate>2024-01-01T00:00:00</AcquisitionDate>'
        f'<Pixels ID="P" DimensionOrder="XYZCT" Type="uint16" SizeX="{layouts.SIZE}" '
        f'SizeY="{layouts.SIZE}" SizeZ="3" SizeC="1" SizeT="1" '
        'PhysicalSizeX="250" PhysicalSizeXUnit="nm"><Channel ID="C" Name="DAPI" EmissionWavelength="450"/>'
        + blocks
        + '<Plane TheZ="1" TheC="0" TheT="0" DeltaT="1.5" '
        'ExposureTime="20" ExposureTimeUnit="ms" PositionX="7"/></Pixels></Image></OME>'
    )
    for n in range(2):
        tifffile.imwrite(
            tmp_path / f"f{n}.ome.tif", layouts.pixels(n), description=xml, metadata=None
        )
    planes, problems = items(tmp_path, "ome_tiff")
    assert [(p.well.name, p.path.name, p.z, p.pixel_size_um) for p in planes] == [
        ("C05", "f0.ome.tif", 0, 0.25),
        ("C05", "f1.ome.tif", 1, 0.25),
    ]
    assert (planes[1].exposure_ms, planes[1].stage_x_um, planes[1].emission_nm) == (
        20.0,
        7.0,
        450.0,
    )
    assert planes[1].acquired_at.isoformat() == "2024-01-01T00:00:01.500000+00:00"  # type: ignore[union-attr]
    assert [(p.problem, Path(str(p.uri)).name) for p in problems] == [
        ("missing_plane", "f2.ome.tif")
    ]
    assert reader_named("ome_tiff").plate_wells(tmp_path) == 96


def test_names_that_differ_only_in_case_and_odd_names_are_planes_or_problems(
    tmp_path: Path,
) -> None:
    plate = tmp_path / "s" / "Platte ä 1"
    plate.mkdir(parents=True)
    for name in (
        "A01_s1_w1_DNA.tif",
        "a01_s1_w1_dna.tif",
        "A02_s1_w1_DNA.TIF",
        "ß A03_s1_w1_DNA.tif",
    ):
        tifffile.imwrite(plate / name, layouts.pixels())
    (plate / "A04_s1_w1_DNA.tif").write_bytes(b"")
    (plate / b"A05_s1_w1_\xff.tif".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    found = catalogue(tmp_path / "s")
    assert found.rows["Metadata_Plate"].unique().to_list() == ["Platte ä 1"]
    assert {p.problem for p in found.problems} >= {"unreadable_image", "unknown_file_name"}
    assert all(str(p.uri).encode() for p in found.problems)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    folder = layouts.harmony(tmp_path / "s" / "plate")
    (folder / "loop").symlink_to(folder)
    (folder / "Images" / "up").symlink_to(tmp_path)
    assert catalogue(tmp_path / "s").rows.height == 8


def test_operetta_and_imagexpress_pixels_reach_a_site(tmp_path: Path) -> None:
    found = catalogue(layouts.harmony(tmp_path / "plate"))
    (first, _) = complete_sites(found.rows, found.rows["channel"].unique().to_list())
    expected = np.maximum(layouts.pixels(1), layouts.pixels(2)).astype(np.float32) / 65535
    assert (read_site(first)[0] == expected).all()


def test_absurd_counts_end_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phenolake.images.plane_checks.MAX_ITEMS", 5)
    found = catalogue(layouts.harmony(tmp_path / "plate"))
    assert found.rows.height == 5
    assert "too_many_planes" in {p.problem for p in found.problems}


def test_ome_xml_that_describes_more_pages_than_there_are_is_cut_short(tmp_path: Path) -> None:
    stack = np.stack([layouts.pixels()] * 2)
    path = tmp_path / "A01_s1_.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "ZYX"})
    content = path.read_bytes().replace(b'SizeZ="2"', b'SizeZ="9"')
    path.write_bytes(content.replace(b'PlaneCount="2"', b'PlaneCount="9"'))
    planes, problems = items(tmp_path, "ome_tiff")
    assert len(planes) == 2
    assert [p.problem for p in problems] == ["unreadable_image"]
