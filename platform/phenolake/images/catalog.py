"""From a plate's folder to rows of `raw_image_catalog`, with every refused file as a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from phenolake.errors import EmptyFolderError, ImageReadError
from phenolake.images.pixels import Header, file_checksum, read_header
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers import detect_reader, reader_named
from phenolake.screens.config import ScreenConfig
from phenolake.screens.discover import Plate, Screen
from phenolake.screens.plate_map import read_plate_map
from phenolake.tables import RAW_IMAGE_CATALOG


@dataclass(frozen=True)
class Catalog:
    """What a plate's folder holds: catalogue rows, and what was refused."""

    rows: pl.DataFrame
    problems: list[Problem]


def catalogue_plate(screen: Screen, plate: Plate) -> Catalog:
    """List every plane of a plate; bad files become problems and everything else goes on.

    Returns
    -------
    Catalog
        `rows` has the columns of `raw_image_catalog`.

    Raises
    ------
    EmptyFolderError
        If the folder holds no image that a reader knows.
    ConfigurationError
        If the plate map, which says the batch, can't be used.
    """
    config = screen.config
    name = config.reader or detect_reader(plate.folder, config.pattern).reader
    problems: list[Problem] = []
    planes = _placed(reader_named(name, config.pattern).planes(plate.folder), config, problems)
    planes = _without_doubles(planes, problems)
    checked = list(_with_headers(planes, problems))
    checked = _of_one_kind(checked, problems)
    if not checked and not problems:
        raise EmptyFolderError(plate.folder, f"images known to the {name} reader")
    problems.extend(_missing_channels(checked, config))
    rows = _rows(checked, config, plate, name)
    batches = read_plate_map(screen, plate.key, set(rows["Metadata_Well"])).rows
    rows = rows.drop("Metadata_Batch").join(
        batches.select("Metadata_Well", "Metadata_Batch"), on="Metadata_Well", maintain_order="left"
    )
    return Catalog(rows.select(RAW_IMAGE_CATALOG.column_names), problems)


@dataclass(frozen=True, slots=True)
class _Checked:
    plane: Plane
    role: str
    header: Header
    bytes: int
    checksum: str


def role_of(acquired: str, config: ScreenConfig) -> str | None:
    """The role of a channel as acquired: mapped in `channels`, a role's own name, or a synonym."""
    if config.channels:
        return config.channels.get(acquired)
    for role in config.roles:
        if role.casefold() == acquired.casefold():
            return role
    words = acquired.casefold()
    return next((role for word, role in config.assay.synonyms.items() if word in words), None)


def _placed(
    found: Iterable[Plane | Problem], config: ScreenConfig, problems: list[Problem]
) -> list[tuple[Plane, str]]:
    """Planes with a role and a well on the plate."""
    unknown: Counter[str] = Counter()
    placed = []
    for item in found:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        role = role_of(item.channel, config)
        if role is None:
            unknown[item.channel] += 1
        elif config.wells is not None and not item.well.fits(config.wells):
            problems.append(
                Problem(
                    "well_outside_plate",
                    "Correct the file name or `wells` in screen.yaml.",
                    uri=str(item.path),
                    well=item.well.name,
                    site=item.site,
                    channel=role,
                    expected=f"a well of a {config.wells}-well plate",
                    got=item.well.name,
                )
            )
        else:
            placed.append((item, role))
    problems.extend(
        Problem(
            "unknown_channel",
            "Map it to a role under `channels` in screen.yaml, or choose another preset.",
            channel=channel,
            expected=f"one of {', '.join(config.channels or config.roles)}",
            got=f"{channel!r} in {count} planes",
        )
        for channel, count in sorted(unknown.items())
    )
    return placed


def _without_doubles(
    planes: list[tuple[Plane, str]], problems: list[Problem]
) -> list[tuple[Plane, str]]:
    """The first plane, in path order, of those that claim one place."""
    first: dict[tuple[Any, ...], Plane] = {}
    kept = []
    for plane, role in planes:
        place = (plane.well, plane.site, role, plane.z, plane.t)
        holder = first.setdefault(place, plane)
        if holder is plane:
            kept.append((plane, role))
            continue
        problems.append(
            Problem(
                "duplicate_plane",
                "Remove one of the two files; the first by name was used.",
                uri=str(plane.path),
                well=plane.well.name,
                site=plane.site,
                channel=role,
                expected=f"one file for the plane, which {holder.path.name} is",
                got=plane.path.name,
            )
        )
    return kept


def _with_headers(planes: list[tuple[Plane, str]], problems: list[Problem]) -> Iterator[_Checked]:
    """Planes whose file has a readable header; each file is opened once."""
    files = list(dict.fromkeys(plane.path for plane, _ in planes))
    # Files wait for the disk, not for Python: threads overlap them.
    with ThreadPoolExecutor(8) as pool:
        facts = dict(zip(files, pool.map(_file_facts, files), strict=True))
    for plane, role in planes:
        fact = facts[plane.path]
        pages = fact[0].pages if not isinstance(fact, ImageReadError) else 0
        if isinstance(fact, ImageReadError) or plane.index_in_file >= pages:
            reason = fact.reason if isinstance(fact, ImageReadError) else f"{pages} planes"
            problems.append(
                Problem(
                    "unreadable_image",
                    "Copy the file again from the microscope; the site waits for it.",
                    uri=str(plane.path),
                    well=plane.well.name,
                    site=plane.site,
                    channel=role,
                    expected=f"a readable image with plane {plane.index_in_file}",
                    got=reason,
                )
            )
        else:
            yield _Checked(plane, role, *fact)


def _file_facts(path: Any) -> tuple[Header, int, str] | ImageReadError:
    try:
        return read_header(path), path.stat().st_size, file_checksum(path)
    except ImageReadError as error:
        return error
    except OSError as error:
        return ImageReadError(str(path), str(error))


def _of_one_kind(planes: list[_Checked], problems: list[Problem]) -> list[_Checked]:
    """Planes with the shape and pixel type that most of the plate has."""
    kinds = Counter((p.header.height, p.header.width, p.header.dtype) for p in planes)
    if len(kinds) <= 1:
        return planes
    usual = kinds.most_common(1)[0][0]
    kept = []
    for p in planes:
        kind = (p.header.height, p.header.width, p.header.dtype)
        if kind == usual:
            kept.append(p)
            continue
        problems.append(
            Problem(
                "unexpected_size" if kind[:2] != usual[:2] else "unexpected_dtype",
                "Acquire or export the site with the settings of the others.",
                uri=str(p.plane.path),
                well=p.plane.well.name,
                site=p.plane.site,
                channel=p.role,
                expected="{} x {} {}".format(*usual),
                got="{} x {} {}".format(*kind),
            )
        )
    return kept


def _missing_channels(planes: list[_Checked], config: ScreenConfig) -> Iterator[Problem]:
    """One problem for each site and role without a plane."""
    present: dict[tuple[Any, int], set[str]] = {}
    for p in planes:
        present.setdefault((p.plane.well, p.plane.site), set()).add(p.role)
    for (well, site), roles in sorted(present.items()):
        for role in config.roles:
            if role not in roles:
                yield Problem(
                    "missing_channel",
                    "Copy the missing file; the site is left out until then.",
                    well=well.name,
                    site=site,
                    channel=role,
                    expected=f"channels {', '.join(config.roles)}",
                    got=f"only {', '.join(r for r in config.roles if r in roles)}",
                )


def _rows(
    planes: list[_Checked], config: ScreenConfig, plate: Plate, reader: str
) -> pl.DataFrame:
    records = [
        {
            "Metadata_Screen": plate.key.screen,
            "Metadata_Plate": plate.key.plate,
            "Metadata_Well": p.plane.well.name,
            "Metadata_Site": p.plane.site,
            "channel": p.role,
            "channel_name": p.plane.channel,
            "z": p.plane.z,
            "t": p.plane.t,
            "uri": str(p.plane.path),
            "index_in_file": p.plane.index_in_file,
            "height": p.header.height,
            "width": p.header.width,
            "dtype": p.header.dtype,
            "pixel_size_um": p.plane.pixel_size_um or config.pixel_size_um,
            "bytes": p.bytes,
            "checksum": p.checksum,
            "acquired_at": p.plane.acquired_at,
            "instrument": p.plane.instrument,
            "source_format": reader,
        }
        for p in sorted(
            planes, key=lambda p: (p.plane.well, p.plane.site, p.role, p.plane.t, p.plane.z)
        )
    ]
    empty = pl.DataFrame(RAW_IMAGE_CATALOG.arrow_schema().empty_table())
    return pl.DataFrame(records, schema=empty.schema)
