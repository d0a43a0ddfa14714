"""Every page in headless Chromium: it is drawn, reached by the keyboard, and asks no other host."""

from __future__ import annotations

import shutil
import sys
import threading
import time

import pytest

from phenolake.explorer.links import plate_link, screen_link, treatment_link, well_link
from small_lake import DRUG, PLATE, SCREEN

pytestmark = pytest.mark.browser

AREA = "Nuclei_AreaShape_Area"
PAGES = {
    "/": "Screens",
    screen_link(SCREEN): f"Screen {SCREEN}",
    plate_link(SCREEN, PLATE, column=AREA): f"Plate {PLATE}",
    well_link(SCREEN, PLATE, "B03", outlines="Nuclei", colour_by=AREA): f"{PLATE}, well B03",
    treatment_link(SCREEN, DRUG, 3.0): DRUG,
    screen_link(SCREEN, "classes", label="round"): "Classes and models",
    screen_link(SCREEN, "saliency", model="m", version="1", label="round"): "Where m looks",
    screen_link(SCREEN, "clusters", cluster=2): "Clusters of treatments",
    screen_link(SCREEN, "curves"): "Dose curves",
    screen_link(SCREEN, "curve", perturbation=DRUG, response=AREA): AREA,
    screen_link(SCREEN, "map"): "Map of profiles",
    "/api": "Read-only service",
}


@pytest.fixture(scope="module")
def address(app):
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=30)


@pytest.fixture(scope="module")
def browser(repository):
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("chromium and chromedriver are not installed")
    sys.path.insert(0, str(repository / "docs"))
    import take_pictures

    with take_pictures.browser() as driver:
        driver.set_page_load_timeout(60)
        yield driver


@pytest.mark.parametrize("path", PAGES)
def test_page_is_drawn_without_errors_or_other_hosts(browser, address, path):
    browser.get(address + path)
    assert PAGES[path] in browser.find_element("tag name", "h1").text
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert all(name.startswith(address) for name in loaded)
    broken = browser.execute_script(
        "return [...document.images].filter(i => i.loading !== 'lazy' && !i.naturalWidth).length"
    )
    assert broken == 0
    assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert not browser.find_elements("css selector", "main b:not(.scale b)")


def wait_for(driver, what):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 30, ignored_exceptions=[StaleElementReferenceException]).until(what)


def test_well_opens_with_the_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys

    browser.get(address + plate_link(SCREEN, PLATE))
    first = browser.find_element("css selector", "svg.plate a")
    first.send_keys(Keys.ENTER)
    wait_for(browser, lambda driver: "well A01" in driver.find_element("tag name", "h1").text)


def test_first_tab_leads_past_the_navigation(browser, address):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get(address + screen_link(SCREEN))
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.switch_to.active_element.get_attribute("class") == "skip"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    wait_for(browser, lambda driver: driver.current_url.endswith("#main"))


def test_class_leads_to_where_its_network_looks(browser, address):
    browser.get(address + screen_link(SCREEN, "classes", label="round"))
    browser.find_element("partial link text", "Where the model looks").click()
    wait_for(browser, lambda driver: "Where m looks" in driver.find_element("tag name", "h1").text)
    widths = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
    assert widths[0] == 8 * 96 + 7 * 4


@pytest.mark.parametrize(
    ("path", "asset"),
    [
        (plate_link(SCREEN, PLATE), "well_profiles"),
        (screen_link(SCREEN), "consensus_profiles"),
        (screen_link(SCREEN, "classes"), "model_predictions"),
        (screen_link(SCREEN, "clusters"), "profile_similarity"),
        (screen_link(SCREEN, "curves"), "dose_responses"),
        (screen_link(SCREEN, "map"), "batch_corrected_profiles"),
    ],
)
def test_page_links_to_the_partition_of_its_asset_in_dagster(browser, address, path, asset):
    browser.get(address + path)
    link = browser.find_element("partial link text", "in Dagster").get_attribute("href")
    assert link.startswith(f"http://dagster.example/assets/{asset}?view=partitions&partition=")


def test_pages_fit_a_narrow_window(browser, address):
    size = browser.get_window_size()
    browser.set_window_size(600, 900)
    try:
        for path in PAGES:
            browser.get(address + path)
            wide = "return document.documentElement.scrollWidth - window.innerWidth"
            assert browser.execute_script(wide) <= 0, path
    finally:
        browser.set_window_size(size["width"], size["height"])


def test_choice_of_a_column_is_an_address_that_can_be_kept(browser, address):
    browser.get(address + plate_link(SCREEN, PLATE))
    option = f"//select[@name='column']/option[.='{AREA}']"
    browser.find_element("xpath", option).click()
    browser.find_element("css selector", "form button").click()
    wait_for(browser, lambda driver: driver.current_url.endswith(f"?column={AREA}"))
    assert AREA in browser.find_element("css selector", ".scale b").text


def test_point_of_a_curve_leads_to_its_images(browser, address):
    browser.get(address + screen_link(SCREEN, "curve", perturbation=DRUG, response=AREA))
    point = browser.find_elements("css selector", "svg.chart a")[-1]
    browser.get(address + browser.execute_script("return arguments[0].getAttribute('href')", point))
    assert browser.find_element("css selector", "img.picture").get_property("naturalWidth") == 64
