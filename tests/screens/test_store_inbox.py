"""Plates that are not plainly there: in an object store, or behind links."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from phenolake.errors import ConfigurationError
from phenolake.identity import PlateKey
from phenolake.screens.discover import Screen
from phenolake.screens.store_inbox import StoreInbox, fetch_plate, fetch_plates, store_plates
from phenolake.settings import Settings
from plates import write_screen


def test_an_object_store_inbox_is_listed_and_fetched(tmp_path: Path, store: str) -> None:
    import fsspec

    fs, root = fsspec.core.url_to_fs(store)
    made = write_screen(tmp_path / "made", wells=("A01",))
    image = next(made.rglob("*.tif")).read_bytes()
    fs.pipe(f"{root}/gfp/screen.yaml", b"preset: nuclear_translocation\n")
    for name in ("P1", "P2", "P3"):
        fs.pipe(f"{root}/gfp/{name}/A01_s1_w1.tif", image)
    fs.pipe(f"{root}/gfp/P1/_COMPLETE", b"")
    fs.pipe(f"{root}/gfp/P2/_COMPLETE", b"A01_s1_w1.tif,%d\nA02_s1_w1.tif,3\n" % len(image))
    fs.pipe(f"{root}/gfp/P3/A02_s1_w1.tif.part", b"x")
    judged = {str(p.key): p.judged(0) for p in store_plates(store)}
    assert {key: j.is_complete for key, j in judged.items()} == {
        "gfp__P1": True,
        "gfp__P2": False,
        "gfp__P3": False,
    }
    target = tmp_path / "local"
    assert outcome(store, target)["gfp__P1"] == "fetched"
    assert (target / "gfp" / "P1" / "A01_s1_w1.tif").read_bytes() == image
    assert (target / "gfp" / "screen.yaml").exists()
    assert outcome(store, target)["gfp__P1"] == "up to date"
    fs.pipe(f"{root}/gfp/P1/A02_s1_w1.tif", image)
    assert outcome(store, target)["gfp__P1"] == "fetched"


def test_links_are_followed_into_allowed_folders_only(tmp_path: Path) -> None:
    raw = write_screen(tmp_path / "raw", plates=("X1", "X2"), wells=("A01",))
    folder = write_screen(tmp_path / "screen", plates=("P1",), wells=("A01",))
    (folder / "again").symlink_to(folder / "P1")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    (folder / "P2").symlink_to(raw / "X1")
    screen = Screen.open(folder)
    assert [plate.key.plate for plate in screen.plates()] == ["P1"]
    assert {str(key): e.link for key, e in screen.refused_links().items()} == {
        "screen__P2": str(folder / "P2"),
        "screen__up": str(folder / "up"),
    }
    allowed = replace(screen, linked_folders=(raw,))
    assert {p.key.plate: p.folder for p in allowed.plates()} == {
        "P1": folder / "P1",
        "P2": raw / "X1",
    }
    assert len(allowed.refused_links()) == 1


def outcome(store: str, inbox: Path) -> dict[str, str]:
    return {str(key): what for key, what in fetch_plates(store, inbox, 3600)}


def test_only_new_and_changed_plates_of_a_store_are_due(tmp_path: Path, store: str) -> None:
    import fsspec

    fs, root = fsspec.core.url_to_fs(store)
    for name in ("P1", "P2"):
        fs.pipe(f"{root}/gfp/{name}/A01_s1_w1.tif", b"x")
        fs.pipe(f"{root}/gfp/{name}/_COMPLETE", b"")
    fs.pipe(f"{root}/gfp/P3/A01_s1_w1.tif", b"x")
    inbox, source = tmp_path / "inbox", StoreInbox(store)
    first = source.scan(inbox, 3600)
    assert set(first.due) == {"gfp__P1", "gfp__P2"}
    assert "waits for 3600 s" in first.waiting["gfp__P3"]
    for text in first.due:
        assert fetch_plate(source, PlateKey.parse(text), inbox) == 1
    assert source.scan(inbox, 3600).due == {}
    fs.pipe(f"{root}/gfp/P2/B02_s1_w1.tif", b"y")
    fs.rm_file(f"{root}/gfp/P2/A01_s1_w1.tif")
    again = source.scan(inbox, 3600)
    assert set(again.due) == {"gfp__P2"}
    assert again.due["gfp__P2"] != first.due["gfp__P2"]
    fetch_plate(source, PlateKey("gfp", "P2"), inbox)
    assert [p.name for p in sorted((inbox / "gfp" / "P2").glob("*.tif"))] == ["B02_s1_w1.tif"]


def test_a_store_out_of_reach_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="inbox memory://nothing: can't be read"):
        StoreInbox("memory://nothing").scan(tmp_path, 60)
    with pytest.raises(ConfigurationError, match="inbox nonsense://x"):
        StoreInbox("nonsense://x").scan(tmp_path, 60)


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    import fsspec

    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        yield "memory://inbox"
        return
    # Filesystems are cached by their arguments; that of an earlier test asks a server that is gone.
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
    filesystem.makedirs("bucket", exist_ok=True)
    yield f"s3://bucket/{uuid.uuid4().hex}/inbox"
    server.stop()


def test_settings_tell_a_store_from_a_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert Settings(home=home).inbox_path == home / "inbox"
    folder = Settings(home=home, inbox=str(tmp_path / "x"))
    assert (folder.inbox_path, folder.inbox_uri) == (tmp_path / "x", "")
    assert Settings(home=home, inbox=f"file://{tmp_path}/x").inbox_path == tmp_path / "x"
    store = Settings(home=home, inbox="s3://bucket/inbox")
    assert (store.inbox_path, store.inbox_uri) == (home / "inbox", "s3://bucket/inbox")


def test_the_fetch_command_says_what_happened_to_each_plate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import fsspec

    from phenolake.cli.fetch import fetch_inbox

    monkeypatch.setenv("PHENOLAKE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="nothing to fetch"):
        fetch_inbox(None)
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pipe("/inbox/gfp/P1/A01.tif", b"x")
    files.pipe("/inbox/gfp/P1/_COMPLETE", b"")
    monkeypatch.setenv("PHENOLAKE_INBOX", "memory://inbox")
    assert fetch_inbox(None) == 0
    assert "plate P1 of gfp: fetched" in capsys.readouterr().out
    assert (tmp_path / "inbox" / "gfp" / "P1" / "A01.tif").read_bytes() == b"x"


def test_a_screen_file_that_leads_elsewhere_or_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "screen").mkdir()
    (tmp_path / "secret").write_text("password: hunter2\n")
    file = tmp_path / "screen" / "screen.yaml"
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigurationError, match="is a link") as caught:
        Screen.open(tmp_path / "screen")
    assert "password" not in str(caught.value)
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(ConfigurationError, match="can't be opened"):
        Screen.open(tmp_path / "screen")
    file.unlink()
    file.write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigurationError, match="larger than"):
        Screen.open(tmp_path / "screen")
