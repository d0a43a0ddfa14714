from __future__ import annotations

import hashlib
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, PlateTwiceError, UnknownNameError
from phenolake.screens.completeness import (
    Entry,
    Listing,
    is_partial,
    judge,
    list_folder,
    parse_manifest,
    wrong_checksums,
)
from phenolake.screens.discover import Screen
from phenolake.screens.landing import LandingState, Scan, scan_inbox
from phenolake.screens.registry import ScreenRegistry
from plates import write_screen

QUIET = 60.0


class Inbox:
    """Scans one inbox as the sensor does: the state travels as text, taken plates become known."""

    def __init__(self, folder: Path, now: float = 0.0) -> None:
        self.registry = ScreenRegistry(folder / "screens", folder / "inbox")
        self.text: str | None = None
        self.known: set[str] = set()
        self.later = now

    def scan(self) -> Scan:
        screens, errors = self.registry.screens()
        assert not errors
        state = LandingState.from_text(self.text)
        found = scan_inbox(screens, state, self.known, QUIET, lambda: time.time() + self.later)
        self.text = state.to_text()
        self.known |= set(found.fresh)
        return found


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "inbox").mkdir()
    return Inbox(tmp_path)


def plate(tmp_path: Path, name: str = "P1", screen: str = "gfp") -> Path:
    return write_screen(tmp_path / "inbox" / screen, plates=(name,), wells=("A01",)) / name


def image_of(folder: Path) -> Path:
    return next(path for path in sorted(folder.rglob("*")) if path.suffix in (".tif", ".tiff"))


def test_a_plate_left_alone_is_fresh_once(tmp_path: Path, inbox: Inbox) -> None:
    plate(tmp_path)
    first = inbox.scan()
    assert not first.fresh
    assert "waits for 60 s" in first.waiting["gfp__P1"]
    inbox.later = 61
    assert set(inbox.scan().fresh) == {"gfp__P1"}
    assert inbox.scan().fresh == {}


def test_it_is_remembered_since_when_a_plate_is_on_its_way(tmp_path: Path, inbox: Inbox) -> None:
    folder = plate(tmp_path)
    inbox.scan()
    since, _ = LandingState.from_text(inbox.text).waiting["gfp__P1"]
    (folder / "another.tif.part").touch()
    inbox.later = 7200
    inbox.scan()
    again, lacks = LandingState.from_text(inbox.text).waiting["gfp__P1"]
    assert again == since == pytest.approx(time.time(), abs=60)
    assert "another.tif.part" in lacks
    (folder / "another.tif.part").unlink()
    assert set(inbox.scan().fresh) == {"gfp__P1"}
    assert LandingState.from_text(inbox.text).waiting == {}


@pytest.mark.parametrize(
    "name",
    [
        "a.tif.part",
        "a.tif.tmp",
        "b.TIF.filepart",
        ".a.tif.Xy12Zq",
        "~$map.xlsx",
        "sub/a.crdownload",
    ],
)
def test_an_unfinished_file_keeps_a_marked_plate_waiting(
    tmp_path: Path, inbox: Inbox, name: str
) -> None:
    folder = plate(tmp_path)
    (folder / "_COMPLETE").touch()
    unfinished = folder / name
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.touch()
    assert "still being copied" in inbox.scan().waiting["gfp__P1"]
    unfinished.rename(unfinished.with_name("done.txt"))
    assert set(inbox.scan().fresh) == {"gfp__P1"}


def test_a_manifest_has_to_be_met(tmp_path: Path, inbox: Inbox) -> None:
    folder = plate(tmp_path)
    image = image_of(folder)
    content = image.read_bytes()
    name, size = image.relative_to(folder).as_posix(), len(content)
    checksum = hashlib.md5(content).hexdigest()
    (folder / "_COMPLETE").write_text(f"name,size,md5\n{name},{size},{checksum}\nlast.tif,5\n")
    assert "last.tif of the manifest" in inbox.scan().waiting["gfp__P1"]
    (folder / "last.tif").write_bytes(b"123")
    assert "not of the size" in inbox.scan().waiting["gfp__P1"]
    (folder / "last.tif").write_bytes(b"12345")
    image.write_bytes(content[:-1] + b"?")
    assert "another checksum" in inbox.scan().waiting["gfp__P1"]
    image.write_bytes(content)
    assert set(inbox.scan().fresh) == {"gfp__P1"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a b.tif,12", ("a b.tif", 12, None)),
        ("12\ta.tif", ("a.tif", 12, None)),
        (
            "d41d8cd98f00b204e9800998ecf8427e  sub/a.tif",
            ("sub/a.tif", None, "d41d8cd98f00b204e9800998ecf8427e"),
        ),
        (
            "d41d8cd98f00b204e9800998ecf8427e *a.tif",
            ("a.tif", None, "d41d8cd98f00b204e9800998ecf8427e"),
        ),
        ("./a.tif 7 crc32:0000abcd", ("a.tif", 7, "crc32:0000abcd")),
        ("a.tif", ("a.tif", None, None)),
    ],
)
def test_manifest_lines_of_all_kinds_are_read(
    line: str, expected: tuple[str, int | None, str | None]
) -> None:
    name, size, checksum = expected
    assert parse_manifest(f"# comment\n{line}\n") == {name: (size, checksum)}


@given(st.text(max_size=300))
def test_any_text_is_a_manifest_or_none(text: str) -> None:
    parse_manifest(text)
    is_partial(text)


def test_checksums_are_told_by_their_length(tmp_path: Path) -> None:
    data = b"pixels"
    (tmp_path / "a").write_bytes(data)
    good = [
        hashlib.sha256(data).hexdigest(),
        hashlib.sha1(data).hexdigest(),
        f"crc32:{zlib.crc32(data):08x}",
    ]
    for checksum in good:
        assert wrong_checksums(tmp_path, {"a": (None, checksum)}) == []
        assert wrong_checksums(tmp_path, {"b": (None, checksum)}) == ["b"]


def test_a_plate_acquired_again_is_changed_once_complete(tmp_path: Path, inbox: Inbox) -> None:
    folder = plate(tmp_path)
    inbox.later = 100
    before = inbox.scan().fresh["gfp__P1"]
    image = image_of(folder)
    content = image.read_bytes()
    image.unlink()
    image.write_bytes(content + b"more")
    inbox.later = 30
    assert "gfp__P1" in inbox.scan().waiting
    inbox.later = 100
    scan = inbox.scan()
    assert scan.fresh == {}
    assert scan.changed["gfp__P1"] != before
    assert inbox.scan().changed == {}


def test_a_file_overwritten_in_place_is_found(tmp_path: Path, inbox: Inbox) -> None:
    folder = plate(tmp_path)
    inbox.later = 100
    inbox.scan()
    with image_of(folder).open("ab") as file:
        file.write(b"x")
    assert set(inbox.scan().changed) == {"gfp__P1"}


def test_plates_known_before_the_first_scan_are_not_made_again(
    tmp_path: Path, inbox: Inbox
) -> None:
    plate(tmp_path)
    inbox.known, inbox.later = {"gfp__P1"}, 100
    assert not inbox.scan().changed
    assert not inbox.scan().changed


def test_a_plate_added_to_an_old_screen_is_fresh(tmp_path: Path, inbox: Inbox) -> None:
    plate(tmp_path)
    inbox.later = 100
    inbox.scan()
    plate(tmp_path, "P2")
    assert set(inbox.scan().fresh) == {"gfp__P2"}


def test_only_changed_plates_are_looked_at(tmp_path: Path, inbox: Inbox) -> None:
    folder = tmp_path / "inbox" / "big"
    for number in range(60):
        (folder / f"P{number:02d}").mkdir(parents=True)
        (folder / f"P{number:02d}" / "A01_s1_w1.tif").write_bytes(b"II")
        (folder / f"P{number:02d}" / "_COMPLETE").touch()
    assert len(inbox.scan().fresh) == 60
    quiet = inbox.scan()
    assert quiet.looked_at == 20  # those whose turn it is
    (folder / "P07" / "A02_s1_w1.tif").write_bytes(b"II")
    assert inbox.scan().looked_at <= 21


def test_a_screen_may_lie_in_two_roots(tmp_path: Path, inbox: Inbox) -> None:
    plate(tmp_path)
    other = write_screen(tmp_path / "elsewhere" / "gfp", plates=("P2",), wells=("A01",))
    inbox.registry.register(tmp_path / "inbox" / "gfp")
    with pytest.raises(ConfigurationError, match="taken by"):
        inbox.registry.register(other, name="gfp")
    inbox.registry.register(other, name="gfp", as_another_root=True)
    inbox.later = 100
    assert set(inbox.scan().fresh) == {"gfp__P1", "gfp__P2"}
    assert inbox.registry.screen("gfp").plate("P2").folder == other / "P2"


def test_two_inbox_folders_of_one_name_are_one_screen(tmp_path: Path, inbox: Inbox) -> None:
    plate(tmp_path, "P1", "gfp")
    plate(tmp_path, "P2", "more")
    (tmp_path / "inbox" / "more" / "screen.yaml").write_text(
        "name: gfp\npreset: nuclear_translocation\n"
    )
    inbox.later = 100
    assert set(inbox.scan().fresh) == {"gfp__P1", "gfp__P2"}


def test_one_barcode_in_two_roots_is_one_message(tmp_path: Path, inbox: Inbox) -> None:
    plate(tmp_path, "P1", "gfp")
    plate(tmp_path, "P1", "more")
    plate(tmp_path, "P3", "gfp")
    (tmp_path / "inbox" / "more" / "screen.yaml").write_text(
        "name: gfp\npreset: nuclear_translocation\n"
    )
    inbox.later = 100
    scan = inbox.scan()
    assert set(scan.fresh) == {"gfp__P3"}
    (message,) = scan.errors
    assert "plate 'P1' is in" in message
    assert "Rename a folder" in message
    with pytest.raises(PlateTwiceError):
        inbox.registry.screen("gfp").plate("P1")


def test_a_damaged_state_starts_afresh() -> None:
    for text in (None, "", "garbage", "eJwDAAAAAAE="):
        assert LandingState.from_text(text).plates == {}


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "loop").symlink_to(tmp_path / "plate")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "plate" / "link.tif").symlink_to(tmp_path / "secret")
    assert list_folder(tmp_path / "plate").files == ()


def test_fingerprints_depend_on_files_not_on_their_order() -> None:
    entries = (Entry("a", 1, 2.0), Entry("b", 1, 2.0))
    assert Listing(entries).fingerprint == Listing(entries[::-1]).fingerprint
    assert Listing(entries).fingerprint != Listing((entries[0],)).fingerprint


def test_a_folder_without_files_is_not_complete() -> None:
    assert not judge(Listing(()), 0, 100).is_complete


def test_further_plates_of_a_screen_in_the_inbox_lie_in_another_root(tmp_path: Path) -> None:
    main = write_screen(tmp_path / "inbox" / "gfp", plates=("P1",), wells=("A01",))
    more = write_screen(tmp_path / "second" / "gfp", plates=("P2",), wells=("A01",))
    (more / "screen.yaml").unlink()
    registry = ScreenRegistry(tmp_path / "screens", tmp_path / "inbox")
    with pytest.raises(UnknownNameError, match="unknown screen 'other'"):
        registry.register(more, name="other", as_another_root=True)
    for _ in range(2):
        screen = registry.register(more, as_another_root=True)
        assert screen.roots == (main, more)
        assert screen.config == Screen.open(main).config
        assert [plate.key.plate for plate in screen.plates()] == ["P1", "P2"]


def test_a_manifest_names_no_file_outside_of_its_plate(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "plate" / "link").symlink_to(tmp_path / "secret")
    crc = f"{zlib.crc32(b'x'):08x}"
    manifest = dict.fromkeys(("../secret", "link", "a\x00b", str(tmp_path / "secret")), (None, crc))
    assert wrong_checksums(tmp_path / "plate", manifest) == list(manifest)
