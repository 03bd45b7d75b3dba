"""Make the pictures of the README again, for new weights: python data/pictures.py.

`docs/example.png`, `page.png`, `report.png` and `distortions.webp`, from the photos of `make demo`.
Needs the packages of the tests and Chromium.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from bench.load_service import running
from demo_photos import write_photos
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from saliency import Predictor
from saliency.distortions import DISTORTIONS
from saliency.images import read_image
from saliency.insights import require_density
from saliency.preprocessing import resize
from saliency.rendering import to_overlay

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = ("astronaut", "cat", "coffee")
ROW_PX, GAP_PX = 240, 6
SEVERITIES = (0, 0.1, 1 / 3, 2 / 3, 1)


def main() -> None:
    """Write all of them."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        photos = Path(folder) / "photos"
        write_photos(photos)
        show_examples(photos)
        show_distortions(photos / "cat.jpg")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        show_page(browser, sorted(photos.iterdir()))
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


def show_distortions(photo: Path) -> None:
    """Put the copies of a photo into a table: a named row for each kind, columns for severities."""
    size = ROW_PX // 2, ROW_PX * 3 // 4
    tile = resize(read_image(photo), (3 * size[0], 3 * size[1]))
    rows = []
    for name, distortion in DISTORTIONS.items():
        cells = [
            resize(distortion(tile, severity, np.random.default_rng(0)), size)
            for severity in SEVERITIES
        ]
        row = np.hstack(cells)
        cv2.putText(
            row,
            name.replace("_", " "),
            (5, size[0] - 7),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
        rows.append(row)
    Image.fromarray(np.vstack(rows)).save(DOCS / "distortions.webp", quality=80)


def show_page(browser: Browser, photos: list[Path]) -> None:
    """Take a picture of the service's page with photos in its strip, the first of them shown."""
    with running("-m", "service", "--port", "0") as (url, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.set_input_files("#file-a", photos)
        page.locator("#status .text").filter(has_text="are ready").wait_for(state="attached")
        page.wait_for_timeout(1000)  # until it has faded in
        page.screenshot(path=DOCS / "page.png")
    with Image.open(DOCS / "page.png") as picture:
        pixels = picture.convert("RGB")
    # A third of the bytes; dithered, because 256 colours are few for several photos.
    few = pixels.quantize(palette=pixels.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    few.save(DOCS / "page.png", optimize=True)


def show_report(browser: Browser, photos: Path) -> None:
    """Take a picture of a folder's report, with the pointer on one photo."""
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
