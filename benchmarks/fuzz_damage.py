"""Damage to files of every kind: bytes, text fields, what is compressed, rows and columns."""

from __future__ import annotations

import gzip
import random
import re
import sqlite3
import zipfile
import zlib
from pathlib import Path

import polars as pl

SPICE = [
    *(
        b"../../../etc/passwd",
        b"/etc/passwd",
        b"C:\\x",
        b"file:///etc/passwd",
        b"%s%n",
        b"\x00",
        b"\xff\xfe",
    ),
    *(
        b"-1",
        b"0",
        b"99999999999999999999",
        b"1e999",
        b"nan",
        b"2147483648",
        b"true",
        b"null",
        b"{}",
        b"[]",
    ),
    *(
        b"<!DOCTYPE x [<!ENTITY a 'a'>]>",
        b"&a;",
        b"]]>",
        b"<a>" * 200,
        b"\xef\xbb\xbf",
        b'"',
        b",",
        b";",
        b"\r\n",
    ),
    *(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", "Ünï".encode()),
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutate(folder: Path, canary: Path, rng: random.Random) -> None:
    """Damage one to three files, small ones (indexes) as often as pixels."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(files)
        kind = rng.random()
        if kind < 0.04:
            path.unlink(missing_ok=True)
        elif kind < 0.08 and path.exists():
            path.unlink()
            path.symlink_to(rng.choice([Path("/etc/passwd"), canary, folder, path]))
        elif kind < 0.1 and path.exists():
            path.rename(path.with_name(rng.choice([path.name.upper(), f"é {path.name}"])))
        elif path.is_file() and not path.is_symlink():
            _damage(path, canary, rng)


def _damage(path: Path, canary: Path, rng: random.Random) -> None:
    """Change a file's bytes; of a compressed one mostly what is inside, of a database its rows."""
    ways = {".gz": _compressed, ".xlsx": _member, ".sqlite": _rows, ".parquet": _columns}
    if path.suffix in ways and rng.random() < 0.7:
        try:
            ways[path.suffix](path, canary, rng)
            return
        except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile):
            pass  # damaged before
        except (sqlite3.Error, pl.exceptions.PolarsError, NotImplementedError, IndexError):
            pass
    path.write_bytes(_bytes(path.read_bytes(), canary, rng))


def _compressed(path: Path, canary: Path, rng: random.Random) -> None:
    path.write_bytes(gzip.compress(_bytes(gzip.decompress(path.read_bytes()), canary, rng)))


def _member(path: Path, canary: Path, rng: random.Random) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice(sorted(members))
    members[chosen] = _bytes(members[chosen], canary, rng)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _bytes(given: bytes, canary: Path, rng: random.Random) -> bytes:
    spices = [*SPICE, str(canary).encode(), b"../" + canary.name.encode()]
    content = bytearray(given)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(content) + 1)
        # Headers and indexes stand at the start: damage there finds more.
        at = min(at, rng.choice((64, 512, 4096, len(content))))
        match rng.randrange(9):
            case 0:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                content[at : at + rng.randrange(40)] = b""
            case 2:
                content[at:at] = rng.choice(spices)
            case 3:
                content = content[:at]
            case 4:
                piece = content[at : at + rng.randrange(200)]
                content[at:at] = piece * rng.randrange(1, 20)
            case 5:
                spice = rng.choice(spices)
                content[at : at + len(spice)] = spice
            case 6:
                numbers = list(_NUMBER.finditer(content))
                if numbers:
                    found = rng.choice(numbers)
                    content[found.start() : found.end()] = rng.choice(spices)
            case 7:
                lines = content.split(b"\n")
                one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[one], lines[other] = lines[other], lines[one]
                content = bytearray(b"\n".join(lines))
            case 8:
                fields = re.split(rb"([,\t<>;\n])", bytes(content))
                fields[rng.randrange(len(fields))] = rng.choice(spices)
                content = bytearray(b"".join(fields))
    return bytes(content)


def _rows(path: Path, _: Path, rng: random.Random) -> None:
    """Values, names and tables of a database changed by SQL."""
    values: list[object] = [None, "nan", "x", b"\xff", 2**62, -1, 1e308, float("inf"), 0.5, "1e5"]
    with sqlite3.connect(path) as connection:
        listed = connection.execute("select name from sqlite_master where type='table'")
        table = rng.choice(sorted(row[0] for row in listed))
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        column = rng.choice(columns)
        match rng.randrange(6):
            case 0 | 1:
                which = "" if rng.random() < 0.5 else "where rowid = 1"
                connection.execute(
                    f'update {table} set "{column}" = ? {which}', [rng.choice(values)]
                )
            case 2:
                new = rng.choice(["ImageNumber", "é", "a b", "Cells_Parent_Nuclei", "x;--"])
                connection.execute(f'alter table {table} rename "{column}" to "{new}"')
            case 3:
                connection.execute(f"insert into {table} select * from {table}")
            case 4:
                connection.execute(f"drop table {table}")
            case 5:
                connection.execute(f"delete from {table}")


def _columns(path: Path, _: Path, rng: random.Random) -> None:
    """Columns of a Parquet file of other names, types or values."""
    frame = pl.read_parquet(path)
    name = rng.choice(frame.columns)
    column = pl.col(name)
    changed = rng.choice(
        [
            column.cast(pl.String),
            column.cast(pl.String).cast(pl.Categorical),
            pl.lit(None).alias(name),
            pl.lit(float("inf")).alias(name),
            pl.concat_list(column),
            pl.struct(column).alias(name),
            column.hash() % 2 == 0,
            pl.lit(b"\xff").alias(name),
            pl.lit("").alias(name),
            column.alias(rng.choice(["Metadata_plate", "é", "a b", "Metadata_well", name.upper()])),
        ]
    )
    frame.with_columns(changed).write_parquet(path)
