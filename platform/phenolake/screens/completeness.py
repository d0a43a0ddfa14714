"""Whether a plate's copy is finished: by its manifest, its mark, or the time it was left alone."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phenolake.images.readers.base import MAX_DEPTH

#: A file of this name says that the copy is finished; with content it is a manifest.
MARKS = ("_COMPLETE", "_MANIFEST")

#: Names that copy programs give to files they have not finished.
_PARTIAL = re.compile(
    r".*\.(?:part|partial|tmp|temp|filepart|crdownload|download|incomplete|swp)|~\$.*|.*~"
    r"|\..+\.[A-Za-z0-9]{6}",
    re.IGNORECASE,
)
_HASHES = {8: "crc32", 32: "md5", 40: "sha1", 64: "sha256"}
_HEADER = frozenset(
    {"name", "file", "filename", "path", "size", "bytes", "checksum", "hash", *_HASHES.values()}
)
_MOST_MANIFEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file below a plate's folder: path relative to it, bytes, and when it changed (s)."""

    name: str
    size: int
    changed: float


@dataclass(frozen=True)
class Listing:
    """Files of a plate, its folders and when they changed (ns), and its manifest's text if any.

    `mark` is the name of the file that says the copy is finished.
    """

    files: tuple[Entry, ...]
    folders: tuple[tuple[str, int], ...] = ()
    mark: str | None = None
    manifest: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when a file is added, removed, resized or rewritten."""
        digest = hashlib.sha256()
        for entry in sorted(self.files, key=lambda entry: entry.name):
            digest.update(
                f"{entry.name}\0{entry.size}\0{entry.changed:.6f}\0".encode("utf-8", "replace")
            )
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Judgement:
    """Whether a plate is complete, and why."""

    is_complete: bool
    reason: str


def is_partial(name: str) -> bool:
    """Tell by its name whether a copy program has not finished a file."""
    return _PARTIAL.fullmatch(name.rpartition("/")[2]) is not None


def list_folder(folder: Path) -> Listing:
    """What lies below a local folder; links are not followed, and what vanishes meanwhile is skipped."""
    files: list[Entry] = []
    folders: list[tuple[str, int]] = []
    mark, manifest = None, ""
    pending = [(folder, "", 0)]
    while pending:
        current, prefix, depth = pending.pop()
        try:
            # Before the entries: what changes while they are listed is seen by the next look.
            folders.append((prefix, current.stat().st_mtime_ns))
            entries = list(os.scandir(current))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if depth < MAX_DEPTH and not entry.name.startswith("."):
                        pending.append((Path(entry.path), f"{prefix}{entry.name}/", depth + 1))
                    continue
                if not entry.is_file(follow_symlinks=False):
                    continue
                if not prefix and entry.name in MARKS:
                    mark = entry.name
                    manifest = _text(Path(entry.path))
                    continue
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            files.append(Entry(f"{prefix}{entry.name}", facts.st_size, facts.st_mtime))
    return Listing(tuple(files), tuple(folders), mark, manifest)


def judge(listing: Listing, quiet_time_s: float, now: float) -> Judgement:
    """Tell whether a plate is complete, by names, sizes and times alone.

    A file with the name of an unfinished copy makes it incomplete. A manifest has to be met; an
    empty mark is believed; without either, files and folders have to be unchanged for
    `quiet_time_s` seconds.
    """
    partial = next((entry.name for entry in listing.files if is_partial(entry.name)), None)
    if partial is not None:
        return Judgement(False, f"{partial} is still being copied")
    if listing.mark is not None:
        if not listing.manifest.strip():
            return Judgement(True, f"marked by {listing.mark}")
        return _by_manifest(listing)
    if not listing.files:
        return Judgement(False, "no file yet")
    newest = max(
        *(entry.changed for entry in listing.files), *(ns / 1e9 for _, ns in listing.folders), 0.0
    )
    quiet = now - newest
    if quiet >= quiet_time_s:
        return Judgement(True, f"unchanged for {quiet:.0f} s")
    return Judgement(False, f"changed {max(quiet, 0):.0f} s ago, waits for {quiet_time_s:.0f} s")


def parse_manifest(text: str) -> dict[str, tuple[int | None, str | None]]:
    """Size and checksum that a manifest states of each file; None for what it does not state.

    A line holds a name, and a size, a checksum (hexadecimal CRC-32, MD5, SHA-1 or SHA-256) or
    both, in any order, separated by commas, tabs or blanks; `md5sum` writes such lines. Lines
    without a size or checksum name a file that has to be there. `#` starts a comment; a line of
    words such as name, size and md5 is a header.
    """
    files: dict[str, tuple[int | None, str | None]] = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        separator = "," if "," in line else "\t" if "\t" in line else None
        parts = [part.strip().lstrip("*") for part in line.split(separator)]
        facts = parts if len(parts) > 1 else []
        checksum = next((part.lower() for part in facts if _is_hash(part)), None)
        size = next((int(part) for part in facts if part.isdecimal() and len(part) < 16), None)
        rest = [
            p for p in parts if p.lower() != checksum and not (p.isdecimal() and int(p) == size)
        ]
        name = (separator or " ").join(rest).removeprefix("./")
        if name and not {part.casefold() for part in parts} <= _HEADER:
            files[name] = (size, checksum)
    return files


def wrong_checksums(
    folder: Path, manifest: Mapping[str, tuple[int | None, str | None]]
) -> list[str]:
    """Names whose content has another checksum than the manifest states; reads those files once."""
    return [
        name
        for name, (_, checksum) in manifest.items()
        if checksum is not None
        and _checksum_below(folder, name, checksum) != checksum.removeprefix("crc32:")
    ]


def _by_manifest(listing: Listing) -> Judgement:
    present = {entry.name: entry.size for entry in listing.files}
    expected = parse_manifest(listing.manifest)
    missing = [name for name in expected if name not in present]
    if missing:
        return Judgement(False, f"{_some(missing)} of the manifest not there yet")
    short = [n for n, (size, _) in expected.items() if size is not None and present[n] != size]
    if short:
        return Judgement(False, f"{_some(short)} not of the size that the manifest states")
    return Judgement(True, f"all {len(expected)} files of {listing.mark} are there")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def _is_hash(text: str) -> bool:
    plain = text.removeprefix("crc32:").lower()
    return (
        len(plain) in _HASHES
        and re.fullmatch("[0-9a-f]+", plain) is not None
        and (len(plain) > 8 or text.startswith("crc32:") or re.search("[a-f]", plain) is not None)
    )


def _checksum_below(folder: Path, name: str, like: str) -> str | None:
    """Checksum of a file of the plate; None for a name that leads out of its folder."""
    path = folder / name
    try:
        is_below = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return None
    return _checksum(path, like) if is_below else None


def _checksum(path: Path, like: str) -> str | None:
    kind = _HASHES[len(like.removeprefix("crc32:"))]
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 (opened without following links)
            if kind != "crc32":
                return hashlib.file_digest(file, kind).hexdigest()
            value = 0
            while block := file.read(1 << 20):
                value = zlib.crc32(block, value)
            return f"{value:08x}"
    except OSError:
        return None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_MANIFEST).decode("utf-8", "replace")
