"""Take the explorer's pictures in the docs from a running `phenolake explore` on the tutorial's lake.

python docs/take_explorer_pictures.py http://127.0.0.1:8000 docs/pictures
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome
from take_pictures import browser, shoot

READOUT = "Cells_Translocation_CoreRingRatio_GFP"
RATIO = "Cells_Translocation_NucleiCytoplasmRatio_GFP"
PLATE = "/screens/sbs_fkhr/plates/sbs_fkhr"
VIEWS = {
    "explorer_plate": (f"{PLATE}?column={READOUT}", "Plate sbs_fkhr"),
    "explorer_well": (f"{PLATE}/wells/A07?outlines=Nuclei&outlines=Cells", "well A07"),
    "explorer_curve": (
        f"/screens/sbs_fkhr/curve?perturbation=wortmannin&response={RATIO}",
        "A well of each dose",
    ),
    "explorer_cluster": ("/screens/sbs_fkhr/clusters", "Least typical cells"),
    "explorer_saliency": (
        "/screens/sbs_fkhr/saliency?model=sbs_fkhr-network&version=1&label=wortmannin",
        "Counter examples",
    ),
}


def take(driver: Chrome, base: str, folder: Path) -> None:
    """Save every view as a PNG of 256 colours, which keeps the repository small."""
    for name, (path, words) in VIEWS.items():
        file = folder / f"{name}.png"
        shoot(driver, base + path, words, file, settle_s=1)
        Image.open(file).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    with browser(1100, 1150) as chromium:
        take(chromium, sys.argv[1], Path(sys.argv[2]))
