"""A screen's results as one folder to publish: tables, a manifest, checksums, the licence."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

from phenolake import __version__
from phenolake.errors import ConfigurationError
from phenolake.exporting.tables import write_table
from phenolake.lake import Lake
from phenolake.service.reading import LakeReader
from phenolake.tables import TABLES

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
#: Packed pixels and single cells are large, and can be made again from the images.
LEFT_OUT = ("segmentation_masks", "illumination_functions", "single_cell_crops")
LARGE = ("single_cell_features", "cell_embeddings", "objects")


def write_bundle(
    lake: Lake, screen: str, out: Path, licence: str, cells: bool = False
) -> list[Path]:
    """Write every table of a screen as Parquet, with what is needed to check and cite them.

    An interrupted export leaves nothing at `out`.

    Parameters
    ----------
    lake, screen
        What to export.
    out
        A new folder.
    licence
        Licence of the data, e.g. an SPDX name such as CC-BY-4.0; kept in the manifest.
    cells
        Also single-cell features, embeddings and objects.

    Returns
    -------
    list of Path
        The files: a Parquet file per table, `manifest.json`, `SHA256SUMS`.

    Raises
    ------
    NotFoundError
        If the lake has no such screen.
    ConfigurationError
        If `out` exists, or no licence is given.
    """
    LakeReader(lake).plates(screen)
    if out.exists():
        raise ConfigurationError(f"{out} exists; name a folder that does not")
    if not licence.strip():
        raise ConfigurationError("a bundle names the licence of its data, e.g. CC-BY-4.0")
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        names = _write_files(lake, screen, draft, licence, () if cells else LARGE)
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [out / name for name in names]


def _write_files(
    lake: Lake, screen: str, out: Path, licence: str, large: tuple[str, ...]
) -> list[str]:
    files, listed = [], []
    for layer, name in lake.tables():
        if name in (*LEFT_OUT, *large):
            continue
        if "Metadata_Screen" not in lake.table(name).collect_schema():
            continue
        rows = lake.read(name, {"Metadata_Screen": screen})
        path = out / f"{layer}.{name}.parquet"
        write_table(rows, path)
        files.append(path)
        listed.append(
            {
                "file": path.name,
                "table": f"{layer}.{name}",
                "grain": TABLES[name].grain if name in TABLES else "a mart, see its documentation",
                "version": lake.version(name),
                "rows": rows.height,
                "columns": rows.width,
                "bytes": path.stat().st_size,
                "sha256": checksum(path),
            }
        )
    manifest = out / MANIFEST
    described = {
        "screen": screen,
        "licence": licence,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "phenolake": __version__,
        "tables": listed,
    }
    manifest.write_text(json.dumps(described, indent=1), encoding="utf-8")
    sums = "".join(f"{checksum(path)}  {path.name}\n" for path in [*files, manifest])
    (out / CHECKSUMS).write_text(sums, encoding="utf-8")
    return [path.name for path in (*files, manifest, out / CHECKSUMS)]


def differing_files(bundle: Path) -> list[str]:
    """Names of a bundle's files that are missing or have other bytes than its checksums say."""
    lines = (bundle / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    expected = {name: value for value, name in (line.split("  ", 1) for line in lines)}
    return [
        name
        for name, value in expected.items()
        if not (bundle / name).is_file() or checksum(bundle / name) != value
    ]


def checksum(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
