"""Make the pictures of the README anew, for new weights: python data/pictures.py.

`docs/example.png`, `page.png` and `report.png`, from the photos of `make demo`. Needs the packages
of the tests and Chromium.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from demo_photos import write_photos
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from saliency import Predictor
from saliency.images import read_image
from saliency.insights import require_density
from saliency.preprocessing import resize
from saliency.rendering import to_overlay
from service.bench.client import running

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = ("astronaut", "cat", "coffee")
ROW_PX, GAP_PX = 240, 6


def main() -> None:
    """Write all three."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        photos = Path(folder) / "photos"
        write_photos(photos)
        show_examples(photos)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        show_page(browser, photos / "astronaut.jpg")
        show_report(browser, photos)
        browser.close()


def show_examples(photos: Path) -> None:
    """Put photos side by side, each above its overlay."""
    predictor = Predictor.load(device="cpu")
    columns = []
    for name in EXAMPLES:
        photo = read_image(photos / f"{name}.jpg")
        size = ROW_PX, round(photo.shape[1] * ROW_PX / photo.shape[0])
        overlay = to_overlay(photo, require_density(predictor.predict(photo).density))
        columns.append(np.vstack([resize(photo, size), resize(overlay, size)]))
        columns.append(np.full((2 * ROW_PX, GAP_PX, 3), 255, np.uint8))
    picture = np.hstack(columns[:-1])
    cv2.imwrite(str(DOCS / "example.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def show_page(browser: Browser, photo: Path) -> None:
    """Take the service's page with a photo on it."""
    with running("service", "--port", "0") as (url, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.set_input_files("#file-a", photo)
        page.locator("#status .text").filter(has_text="is ready").wait_for(state="attached")
        page.wait_for_timeout(1000)  # until it has faded in
        page.screenshot(path=DOCS / "page.png")
    with Image.open(DOCS / "page.png") as picture:
        picture.quantize(256).save(DOCS / "page.png", optimize=True)  # a third of the bytes


def show_report(browser: Browser, photos: Path) -> None:
    """Take the report of the folder, with one photo pointed at."""
    out = photos.with_name("demo_out")
    command = [sys.executable, "-m", "saliency", "predict", photos, "-o", out, "--report"]
    subprocess.run(command, check=True)  # noqa: S603
    page = browser.new_page(viewport={"width": 1250, "height": 860})
    page.goto((out / "report.html").as_uri())
    page.get_by_text("coffee.jpg").hover()
    page.wait_for_timeout(500)
    page.screenshot(path=DOCS / "report.png")


if __name__ == "__main__":
    main()
