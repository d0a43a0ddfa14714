"""Every page answers, links to pages that answer, and shows names from data as text only."""

from __future__ import annotations

import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from asgi import request
from phenolake.errors import NotFoundError
from phenolake.explorer.links import (
    image_link,
    plate_link,
    screen_link,
    treatment_link,
    well_link,
)
from phenolake.service.app import application
from small_lake import DRUG, PLATE, SCREEN

AREA = "Nuclei_AreaShape_Area"
PAGES = {
    "screens": "/",
    "screen": screen_link(SCREEN),
    "plate": plate_link(SCREEN, PLATE, column=AREA),
    "well": well_link(SCREEN, PLATE, "B03", outlines=["Nuclei", "Cells"], colour_by="class"),
    "treatment": treatment_link(SCREEN, DRUG, 3.0),
    "classes": screen_link(SCREEN, "classes"),
    "saliency": screen_link(SCREEN, "saliency", model="m", version="1", label="round"),
    "clusters": screen_link(SCREEN, "clusters", cluster=2),
    "curves": screen_link(SCREEN, "curves"),
    "curve": screen_link(SCREEN, "curve", perturbation=DRUG, response=AREA),
    "map": screen_link(SCREEN, "map", colour="Metadata_Perturbation"),
    "api": "/api",
}


def links_of(text: str) -> list[str]:
    found = re.findall(r'(?:href|src)="([^"]*)"', text)
    return [html.unescape(link) for link in found if link.startswith("/")]


@pytest.mark.parametrize("name", PAGES)
def test_page_and_everything_it_links_to_answers(app, name):
    page = request(app, PAGES[name])
    assert page.status == 200, page.text
    for link in dict.fromkeys(links_of(page.text)):
        assert request(app, link).status == 200, link


@pytest.mark.parametrize("name", PAGES)
def test_names_from_data_are_text_and_no_page_loads_anything_from_elsewhere(app, name):
    page = request(app, PAGES[name])
    for written in ("<b>drug", "<i>", "<screen>"):
        assert written not in page.text.replace("<i style", "").replace("<i class", "")
    assert "<script" not in page.text
    assert not re.findall(r'src="(?!/)', page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_each_well_of_a_plate_is_a_link_with_its_value_in_words(app):
    text = request(app, PAGES["plate"]).text
    assert len(re.findall(r"<a href=[^>]*><rect", text)) == 18
    assert f"B01: {AREA}" in text
    assert "negative control" in text


def test_flagged_images_are_listed_with_the_reason(app):
    text = request(app, PAGES["plate"]).text
    assert "blurred" in text.split("Images with a flag")[1]


def test_curve_page_shows_a_well_of_each_dose(app):
    text = request(app, PAGES["curve"]).text
    assert text.count("<figure>") == 5
    assert 'class="fit"' in text


def test_gallery_shows_typical_cells_and_counter_examples(app):
    text = request(app, PAGES["classes"] + "?label=round").text
    assert "Surest of round" in text
    assert "Counter examples" in text
    picture = request(app, next(x for x in links_of(text) if x.startswith("/cells.png")))
    assert picture.content[:4] == b"\x89PNG"


def test_gallery_of_a_cluster_shows_its_treatments_and_cells(app):
    text = request(app, PAGES["clusters"]).text
    members = text.split("<h2>Cluster 2</h2>")[1]
    assert members.split("</p>")[0].count("treatment?") == 3
    assert "Typical cells" in members
    assert "Least typical cells" in members
    assert "Typical cells of the negative controls" in members
    picture = request(app, next(x for x in links_of(members) if x.startswith("/cells.png")))
    assert picture.content[:4] == b"\x89PNG"


def test_page_shows_where_a_network_looks(app):
    text = request(app, PAGES["saliency"]).text
    link = next(x for x in links_of(text) if "saliency.png" in x)
    picture = np.asarray(Image.open(io.BytesIO(request(app, link).content)))
    # Eight cells in a row, each 16 pixels enlarged six times, a map below each.
    assert picture.shape == (2 * 96, 8 * 96 + 7 * 4, 3)
    assert (picture[:96] != picture[96:]).any()


def test_model_of_features_says_why_it_shows_no_places(app):
    path = screen_link(SCREEN, "saliency", model="forest", version="1", label="round")
    page = request(app, path)
    assert page.status == 200
    assert "forest" in page.text
    assert "only single networks of images" in page.text


def test_looking_does_not_create_a_registry(tmp_path):
    from phenolake.explorer.saliency import registry_loader

    load = registry_loader(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    with pytest.raises(NotFoundError, match="registry"):
        load("m", "1")
    assert not list(tmp_path.iterdir())


def test_uncertainty_of_a_wells_predictions_is_shown(app):
    text = request(app, PAGES["well"]).text.split("Classes of its cells")[1]
    assert "entropy" in text
    assert "Where m looks for" in text


def test_refused_things_of_a_plate_are_listed_with_advice(app):
    text = request(app, PAGES["plate"]).text.split("<h2>Refused</h2>")[1]
    assert "unreadable image" in text
    assert "copy the file again" in text


def test_map_coloured_by_numbers_has_a_scale_and_no_classes(app):
    path = screen_link(SCREEN, "map", colour="Metadata_Concentration")
    text = request(app, path).text
    assert 'class="scale"' in text
    assert 'class="key"' not in text
    assert len(set(re.findall(r'<circle[^>]*fill="(rgb[^"]*)"', text))) == 5


def test_each_cell_of_a_gallery_is_a_link_to_its_site(app):
    text = request(app, PAGES["clusters"]).text
    picture = next(x for x in links_of(text) if x.startswith("/cells.png"))
    first = text.split('<map name="cells1">')[1].split("</map>")[0]
    assert first.count("<area") == picture.count("cell=")
    assert 'coords="100,0,196,96"' in first


def test_black_point_darkens_a_picture(app):
    link = image_link(SCREEN, PLATE, "B03", 1)
    plain, cut = (
        np.asarray(Image.open(io.BytesIO(request(app, link, black=black).content))).mean()
        for black in (0, 0.9)
    )
    assert cut < plain


def test_pages_link_to_dagster_where_it_has_an_address(app, tmp_path):
    assert "http://dagster.example/assets/well_profiles" in request(app, PAGES["plate"]).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/screens/nobody", 404),
        (plate_link(SCREEN, "P9"), 404),
        (well_link(SCREEN, PLATE, "H12"), 404),
        (well_link(SCREEN, PLATE, "../../etc"), 404),
        (plate_link(SCREEN, PLATE, column="no_such"), 400),
        (screen_link(SCREEN, "map", method="tsne"), 400),
        (screen_link(SCREEN, "map", colour="nothing"), 400),
        (treatment_link(SCREEN, "' or 1=1 --"), 404),
        (screen_link(SCREEN, "saliency", model="none", version="1", label="round"), 400),
        (
            screen_link(
                SCREEN, "saliency.png", model="m", version="1", label="no", cell="P 1/A01/1/1"
            ),
            400,
        ),
        (
            screen_link(SCREEN, "saliency.png", model="m", version="1", label="round", cell="a/b"),
            404,
        ),
        (
            screen_link(
                SCREEN, "saliency.png", model="m", version="1", label="round", cell="P 1/A01/1/9"
            ),
            404,
        ),
        (
            screen_link(
                SCREEN,
                "saliency.png",
                model="forest",
                version="1",
                label="round",
                cell="P 1/A01/1/1",
            ),
            404,
        ),
        ("/cells.png?cell=a/b", 404),
        ("/cells.png?cell=..%2F..%2Fetc%2Fpasswd", 404),
        ("/style.css/../../app.py", 404),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(app, path, status):
    reply = request(app, path)
    assert reply.status == status, reply.text
    assert "Traceback" not in reply.text


def test_empty_lake_has_a_page_that_says_what_to_do(tmp_path):
    from phenolake.lake import Lake

    page = request(application(Lake(str(tmp_path / "none"))), "/")
    assert page.status == 200
    assert "phenolake ingest" in page.text
