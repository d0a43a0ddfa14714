"""The HTTP service: tables, pages of rows, images, masks, SQL, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from asgi import request
from phenolake.lake import Lake
from phenolake.service.answers import answer
from phenolake.service.app import application
from phenolake.service.client import Client, ServiceError
from small_lake import DRUG, PLATE, SCREEN, SIZE

BASE = "/api/screens/first%20%3Cscreen%3E"
SITE = f"{BASE}/plates/P%201/wells/A02/sites/1"


def pixels(reply) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(reply.content)))


def test_screens_and_plates_are_listed(app):
    assert request(app, "/api/screens").json() == {"screens": [SCREEN]}
    assert request(app, f"{BASE}/plates").json() == {"plates": [PLATE]}


def test_rows_come_a_page_at_a_time_with_the_total(app):
    path = f"{BASE}/plates/P%201/cells"
    first = request(app, path, limit=100, columns=["Metadata_Well", "Metadata_ObjectNumber"])
    second = request(app, path, limit=100, offset=100)
    assert (len(first.json()), len(second.json())) == (100, 8)
    assert first.headers["x-total-rows"] == "108"
    assert list(first.json()[0]) == ["Metadata_Well", "Metadata_ObjectNumber"]


def test_arrow_and_json_say_the_same(app):
    arrow = pl.read_ipc_stream(request(app, f"{BASE}/profiles", format="arrow").content)
    rows = request(app, f"{BASE}/profiles").json()
    assert arrow.height == len(rows) == 18
    assert arrow["Nuclei_AreaShape_Area"].to_list() == [r["Nuclei_AreaShape_Area"] for r in rows]


def test_arrow_stream_is_sent_a_batch_at_a_time():
    rows = pl.DataFrame({"number": range(20_000)})

    async def parts() -> list[bytes]:
        return [part async for part in answer(rows, "arrow").body_iterator]

    sent = asyncio.run(parts())
    assert len(sent) == 4
    assert max(map(len, sent)) < 8192 * 8 + 1000
    assert pl.read_ipc_stream(b"".join(sent)).equals(rows)


def test_numbers_json_can_not_hold_are_null(app):
    rows = request(
        app, "/api/sql", "POST", {"query": "select 'nan'::double a, 'inf'::double b, 1 c"}
    )
    assert rows.json() == [{"a": None, "b": None, "c": 1}]


def test_image_has_the_asked_size_and_changes_with_the_view(app):
    plain = pixels(request(app, f"{SITE}/image.png"))
    assert plain.shape == (SIZE, SIZE, 3)
    small = pixels(request(app, f"{SITE}/image.png", edge=32))
    assert small.shape == (32, 32, 3)
    outlined = pixels(request(app, f"{SITE}/image.png", outlines="Nuclei"))
    by_class = pixels(request(app, f"{SITE}/image.png", outlines="Nuclei", colour_by="class"))
    brighter = pixels(request(app, f"{SITE}/image.png", gain=2))
    assert not np.array_equal(plain, outlined)
    assert not np.array_equal(outlined, by_class)
    assert brighter.mean() > plain.mean()


def test_plane_keeps_the_pixels_and_mask_the_numbers(app):
    plane = pixels(request(app, f"{SITE}/channels/DNA.png"))
    assert (plane[10, 10], plane[0, 0]) == (22_000, 0)
    mask = pixels(request(app, f"{SITE}/masks/Nuclei.png"))
    assert sorted(np.unique(mask)) == [0, 1, 2, 3]


def test_montage_holds_every_site(app):
    shown = pixels(request(app, f"{BASE}/plates/P%201/wells/A02/montage.png"))
    assert shown.shape == (SIZE, 2 * SIZE + 4, 3)


def test_sql_reads_and_does_nothing_else(app):
    good = request(app, "/api/sql", "POST", {"query": "select count(*) n from gold.well_profiles"})
    assert good.json() == [{"n": 18}]
    for query in (
        "drop table gold.well_profiles",
        "copy gold.well_profiles to 'x.csv'",
        "select * from read_text('/etc/passwd')",
        "select 1; select 2",
        "attach 'x.db'",
        "select",
    ):
        reply = request(app, "/api/sql", "POST", {"query": query})
        assert reply.status == 400, (query, reply.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/screens/none/plates", 404),
        (f"{BASE}/plates/P%201/wells?limit=0", 422),
        (f"{BASE}/plates/P%201/wells?columns=nothing", 404),
        (f"{BASE}/plates/P%201/wells/..%2f..%2fx/sites/1/image.png", 404),
        (f"{BASE}/plates/P%201/wells/A02/sites/9/image.png", 404),
        (f"{SITE}/image.png?edge=99999", 422),
        (f"{SITE}/image.png?colour_by=nothing&outlines=Nuclei", 400),
        (f"{SITE}/channels/RNA.png", 404),
        (f"{SITE}/masks/Cytoplasm.png", 404),
        ("/api/marts/..%2fgold", 404),
        ("/api/marts/nothing", 404),
    ],
)
def test_wrong_questions_get_a_sentence_and_a_status(app, path, status):
    reply = request(app, path)
    assert reply.status == status, reply.text
    assert reply.json()["detail"]


def test_only_reading_methods_are_answered(app):
    for method in ("PUT", "DELETE", "PATCH"):
        assert request(app, "/api/screens", method).status == 405


def test_other_host_names_are_refused(tmp_path):
    app = application(Lake(str(tmp_path)), allowed_hosts=["localhost"])
    assert request(app, "/api/screens").status == 200
    assert request(app, "/api/screens", host="evil.example").status == 400


def test_openapi_describes_every_address(app):
    described = request(app, "/openapi.json").json()
    assert {"/api/screens", "/api/sql", "/api/marts/{mart}"} <= set(described["paths"])
    for methods in described["paths"].values():
        assert all(operation["description"] for operation in methods.values())


class _Reply(io.BytesIO):
    def __init__(self, reply):
        super().__init__(reply.content)
        self.headers = {"X-Total-Rows": reply.headers.get("x-total-rows", "0")}


@pytest.fixture
def client(app, monkeypatch):
    """A client whose requests go to the application directly."""
    from urllib.error import HTTPError
    from urllib.parse import urlsplit

    def opened(asked, timeout):
        parts = urlsplit(asked.full_url)
        body = json.loads(asked.data) if asked.data else None
        reply = request(app, f"{parts.path}?{parts.query}", asked.get_method(), body)
        if reply.status != 200:
            raise HTTPError(asked.full_url, reply.status, "no", {}, io.BytesIO(reply.content))
        return _Reply(reply)

    monkeypatch.setattr("phenolake.service.client.urlopen", opened)
    return Client("http://localhost")


def test_client_reads_tables_pictures_and_sql(client):
    assert client.screens() == [SCREEN]
    assert client.plates(SCREEN) == [PLATE]
    assert client.wells(SCREEN, PLATE).height == 18
    assert client.cells(SCREEN, PLATE, "A02").height == 6
    assert client.profiles(SCREEN)["Metadata_Perturbation"].n_unique() == 2
    assert client.mart("hits", SCREEN).filter(Metadata_Perturbation=DRUG).height == 5
    assert client.sql("select 1 as a")["a"].to_list() == [1]
    assert client.image(SCREEN, PLATE, "A02", 1, outlines=["Nuclei"])[:4] == b"\x89PNG"


def test_client_fetches_all_pages(client, monkeypatch):
    monkeypatch.setattr("phenolake.service.client.MOST_ROWS", 50)
    assert client.cells(SCREEN, PLATE).height == 108


def test_client_says_what_the_service_said(client):
    with pytest.raises(ServiceError, match="no screen 'nobody'"):
        client.plates("nobody")
