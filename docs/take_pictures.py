"""Take the pictures of the README from a running `phenolake ui`, with the system's Chromium.

python docs/take_pictures.py http://127.0.0.1:3000 PARTITION docs/pictures
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def browser(width: int = 1600, height: int = 1000) -> Iterator[Chrome]:
    """Start headless Chromium with the driver of the operating system."""
    options = ChromeOptions()
    for flag in (*FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def shoot(driver: Chrome, url: str, words: str, path: Path, settle_s: float = 3) -> None:
    """Open a page, wait until it shows `words`, and save what it looks like."""
    driver.get(url)
    skip_dialog(driver)
    WebDriverWait(driver, 60).until(lambda d: words in page_text(d))
    skip_dialog(driver)  # on a slow machine it comes after the text
    time.sleep(settle_s)  # the graph lays itself out after its text is there
    driver.save_screenshot(str(path))


def page_text(driver: Chrome) -> str:
    """Read the visible text at one moment; elements found one by one may be gone when asked."""
    return str(driver.execute_script("return document.body.innerText"))


def click(driver: Chrome, *words: str) -> bool:
    """Click the first button or link with one of these texts; tells whether there was one."""
    script = """
        const says = e => arguments[0].includes((e.innerText || '').trim());
        const found = [...document.body.querySelectorAll('*')]
            .find(e => says(e) && ![...e.children].some(says));
        if (found) found.click();
        return Boolean(found);
    """
    return bool(driver.execute_script(script, list(words)))


def skip_dialog(driver: Chrome) -> None:
    """Close the sign-up dialog that a first visit shows."""
    time.sleep(1.5)
    click(driver, "Skip")


def main(base: str, partition: str, folder: Path) -> None:
    """Take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as driver:
        lineage = (
            f"{base}/assets/normalized_profiles?view=lineage&lineageScope=upstream&lineageDepth=8"
        )
        shoot(driver, lineage, "raw_image_catalog", folder / "lineage.png", settle_s=6)
        masks = f"{base}/assets/segmentation_masks?view=partitions&partition={partition}"
        shoot(driver, masks, partition, folder / "partitions.png")
        click(driver, "Show Markdown", "[Show Markdown]")
        time.sleep(2)
        driver.save_screenshot(str(folder / "materialization.png"))
        shoot(driver, f"{base}/runs", "plate_job", folder / "runs.png")
        shoot(driver, f"{base}/overview/backfills", "Backfill", folder / "backfills.png")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
