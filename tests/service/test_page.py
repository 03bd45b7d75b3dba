"""The page in a real browser, against a real server with the released weights."""

import csv
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from saliency import Predictor
from saliency.change_rendering import to_change_overlay
from saliency.checkpoint import released_weights, to_sha256
from saliency.comparison import compare
from saliency.score_reference import ScoreReference, place_in_words, reference_of

try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Browser, Locator, Page, Route, expect
except ImportError:  # the fixture `browser` says how to get it
    expect = None

VIEWS = ("overlay", "heat", "fog", "focal")
PANELS = ("result", "boxes", "crops", "compare")
SHAPES = ("1x1", "4x5", "16x9")  # that are chosen at first


class Faults(list[str]):
    """What went wrong in the browser: errors of the console, requests to other hosts."""

    def expect(self, text: str) -> None:
        """Take out what a test provoked."""
        assert any(text in fault for fault in self), f"{text!r} is not in {list(self)}"
        self[:] = [fault for fault in self if text not in fault]


@pytest.fixture
def faults() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    assert faults == []


@pytest.fixture
def page(browser: "Browser", server_url: str, faults: Faults) -> Iterator["Page"]:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        yield open_page(context.new_page(), server_url, faults)


def open_page(page: "Page", url: str, faults: Faults) -> "Page":
    def check_host(request: Any) -> None:
        if not request.url.startswith((url, "blob:", "data:")):
            faults.append(f"request to {request.url}")

    page.set_default_timeout(60_000)
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", check_host)
    page.goto(url)
    expect(page.locator("#model")).to_contain_text("aesthetic-saliency")
    return page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(photos, name)()).save(folder / f"{name}.png")
    Image.fromarray(photos.chelsea()).save(folder / "chelsea.tiff")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    return folder


@pytest.fixture
def shown(page: "Page", files: Path) -> "Page":
    """The page with the astronaut on it."""
    load(page, files / "astronaut.png")
    return page


def load(page: "Page", path: Path, slot: str = "a") -> None:
    page.set_input_files(f"#file-{slot}", path)
    expect_ready(page, path.name, slot)


def expect_ready(page: "Page", name: str, slot: str = "a") -> None:
    """The photo stands there with its map. What the page says of it may have been said over."""
    expect(page.locator(f"#frame-{slot} .name")).to_have_text(name)
    described = re.compile(rf"^{re.escape(name)}\b.*focal point holds")  # only with a map
    expect(page.locator(f"#frame-{slot} canvas")).to_have_attribute("aria-label", described)


def ask(url: str, path: str, photo: Path, **fields: Any) -> dict[str, Any]:
    with photo.open("rb") as file:
        answer = httpx.post(f"{url}/v1/{path}", files={"image": file}, data=fields, timeout=60)
    return answer.raise_for_status().json()


def ask_overlay(url: str, photo: Path) -> np.ndarray:
    """The service's own overlay: (H, W, 3) float."""
    with photo.open("rb") as file:
        answer = httpx.post(
            f"{url}/v1/predict?render=overlay",
            files={"image": file},
            headers={"Accept": "image/png"},
            timeout=60,
        )
    return np.asarray(Image.open(BytesIO(answer.raise_for_status().content)), float)


def pixels(page: "Page", selector: str = "#frame-a canvas") -> np.ndarray:
    """What a canvas shows: (H, W, 3) float."""
    url = page.locator(selector).evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(BytesIO(b64decode(url.split(",")[1]))).convert("RGB"), float)


def resized(image: np.ndarray, like: np.ndarray) -> np.ndarray:
    height, width = like.shape[:2]
    return cv2.resize(image.astype(float), (width, height), interpolation=cv2.INTER_AREA)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def set_strength(page: "Page", percent: int) -> None:
    page.locator("#strength").fill(str(percent))
    # The page repaints with the next frame.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def choose_view(page: "Page", view: str) -> None:
    page.locator(f"input[value={view}]").check(force=True)  # its label is what is drawn


def drag(
    page: "Page",
    start: tuple[float, float],
    end: tuple[float, float],
    layer: str = "#box-layer",
) -> None:
    """Drag over the photo; the points are shares of its width and height."""
    frame = page.locator(layer).bounding_box()
    (x0, y0), (x1, y1) = (
        (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end)
    )
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=4)
    page.mouse.up()


def figures(row: "Locator") -> list[str]:
    expect(row.page.locator("#box-rows[aria-busy]")).to_have_count(0)
    return row.locator(".number").all_inner_texts()


# A photo comes in


def test_empty_page_invites_and_promises(page: "Page") -> None:
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
    expect(
        page.get_by_text("Photos are sent to this server only and are not kept there.")
    ).to_be_visible()
    expect(page.locator("#workspace")).to_be_hidden()


def test_chosen_photo_gets_the_answers_of_the_api(
    shown: "Page", files: Path, server_url: str
) -> None:
    answer = ask(server_url, "predict", files / "astronaut.png")
    saliency = answer["saliency"]

    assert float(shown.inner_text("#score")) == pytest.approx(answer["score"], abs=0.06)
    assert shown.inner_text("#spread") == answer["disagreement"]
    focus = (saliency["concentration"] - 0.1) / 0.9 * 100
    assert int(shown.inner_text("#focus")) == pytest.approx(focus, abs=0.6)
    concentration = float(shown.inner_text("#concentration").rstrip("%")) / 100
    assert concentration == pytest.approx(saliency["concentration"], abs=0.006)
    rows = shown.locator("#focal-rows tr")
    assert rows.count() == len(saliency["focal_points"])
    strongest = saliency["focal_points"][0]
    assert f"{strongest['share']:.0%}" in rows.first.inner_text()
    assert f"{strongest['x']:.0f}, {strongest['y']:.0f}" in rows.first.inner_text()


def test_score_is_told_as_the_place_that_the_library_gives_it(page: "Page") -> None:
    weights = released_weights()
    reference = ScoreReference.load(reference_of(weights), to_sha256(weights))
    scores = [1, 3.7, *np.linspace(4, 7.8, 30), 8.3, 10]

    said = page.evaluate(
        """async ([scores, quantiles]) => {
          const { bandInWords, bandOf } = await import('/static/band.js');
          return scores.map((score) => bandInWords(bandOf(score, quantiles)));
        }""",
        [scores, list(reference.quantiles)],
    )

    places = [reference.to_place(score) for score in scores]
    assert [text.lower() for text in said] == [place_in_words(place) for place in places]


def test_chart_shows_the_distribution(shown: "Page", files: Path, server_url: str) -> None:
    votes = ask(server_url, "predict", files / "astronaut.png")["score_distribution"]

    bars = shown.locator("#distribution .bar")
    heights = [float(bar.get_attribute("height")) for bar in bars.all()]

    assert np.divide(heights, sum(heights)) == pytest.approx(votes, abs=1e-3)
    described = shown.locator("#distribution svg > title").text_content()
    assert "mean score" in described
    assert "; people " in described
    assert f"1: {votes[0]:.0%}" in described


def test_dropped_photo(page: "Page", files: Path) -> None:
    give(page, files / "coffee.png", "drop")

    expect_ready(page, "coffee.png")
    assert pixels(page).std() > 10


def test_pasted_photo(page: "Page", files: Path) -> None:
    give(page, files / "coffee.png", "paste")

    expect_ready(page, "coffee.png")
    assert pixels(page).std() > 10


def give(page: "Page", path: Path, how: str, onto: str = "body") -> None:
    """Drop or paste a file, as a browser tells the page of it."""
    page.evaluate(
        """([bytes, name, how, onto]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
          const event = how === 'drop'
            ? new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data })
            : new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: data });
          document.querySelector(onto).dispatchEvent(event);
        }""",
        [list(path.read_bytes()), path.name, how, onto],
    )


def test_exif_orientation_is_applied(page: "Page", tmp_path: Path, files: Path) -> None:
    with Image.open(files / "coffee.png") as image:
        width, height = image.size
        exif = image.getexif()
        exif[0x0112] = 6  # turn right: the camera was held upright
        image.save(tmp_path / "turned.jpg", exif=exif)

    load(page, tmp_path / "turned.jpg")

    canvas = pixels(page)
    assert canvas.shape[0] / canvas.shape[1] == pytest.approx(width / height, rel=0.01)
    assert f"{height} × {width}" in page.inner_text("#photo-facts")


def test_format_that_the_browser_cannot_show(page: "Page", files: Path) -> None:
    load(page, files / "chelsea.tiff")

    expect(page.locator("#photo-facts")).to_contain_text("cannot show the format")
    assert pixels(page).std() > 10  # the server's overlay
    choose_view(page, "heat")
    assert pixels(page).std() > 10


def test_later_photo_overtakes_an_earlier_one(page: "Page", files: Path) -> None:
    held: list[Any] = []
    page.route("**/v1/predict*", lambda route: route.continue_() if held else held.append(route))
    page.set_input_files("#file-a", files / "astronaut.png")
    expect(page.locator("#workspace")).to_be_visible()

    page.set_input_files("#file-a", files / "coffee.png")

    expect(page.locator("#photo-name")).to_have_text("coffee.png")
    held[0].continue_()
    expect(cards(page).first).to_have_attribute("data-state", "done")
    expect(page.locator("#photo-name")).to_have_text("coffee.png")


# Several photos


def cards(page: "Page") -> "Locator":
    return page.locator("#cards [role=option]")


@pytest.fixture
def three(page: "Page", files: Path) -> "Page":
    """The page with three photos in its strip, the first of them shown."""
    names = ("astronaut", "chelsea", "coffee")
    page.set_input_files("#file-a", [files / f"{name}.png" for name in names])
    expect(page.locator("#status .text")).to_have_text("3 of 3 photos are ready.")
    return page


def test_several_photos_fill_a_strip_with_scores(
    three: "Page", files: Path, server_url: str
) -> None:
    for card, name in zip(cards(three).all(), ("astronaut", "chelsea", "coffee"), strict=True):
        score = ask(server_url, "predict", files / f"{name}.png")["score"]
        assert float(card.locator(".verdict").inner_text()) == pytest.approx(score, abs=0.06)
        expect(card.locator(".name")).to_have_text(f"{name}.png")
    expect(three.locator("#photo-name")).to_have_text("astronaut.png")


def test_two_photos_are_sent_at_a_time(page: "Page", files: Path) -> None:
    held: list[Any] = []
    page.route("**/v1/predict*", lambda route: held.append(route))
    page.set_input_files(
        "#file-a", [files / f"{name}.png" for name in ("astronaut", "chelsea", "coffee")]
    )
    expect(cards(page).nth(1)).to_contain_text("being analysed")
    expect(cards(page).nth(2)).to_contain_text("waiting")
    page.wait_for_timeout(300)  # a third request would come at once
    assert len(held) == 2

    with page.expect_request("**/v1/predict*"):
        held[1].continue_()


def test_a_folder_is_taken_without_what_is_no_photo(
    page: "Page", files: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((files / "coffee.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no photo")

    page.set_input_files("#folder", tmp_path)

    expect(page.locator("#status .text")).to_have_text("2 of 2 photos are ready.")
    expect(cards(page)).to_have_count(2)


def test_a_photo_that_fails_stays_with_its_reason(
    page: "Page", files: Path, faults: Faults
) -> None:
    page.set_input_files("#file-a", [files / "broken.jpg", files / "coffee.png"])

    expect(page.locator("#status .text")).to_have_text("1 of 2 photos are ready.")
    expect(page.locator("#photo-name")).to_have_text("coffee.png")
    expect(cards(page).first).to_contain_text("failed: The image cannot be decoded")
    page.keyboard.press("Escape")
    expect(page.locator("#error")).to_be_hidden()
    faults.expect("422")


def test_arrow_keys_choose_which_photo_is_shown(three: "Page") -> None:
    cards(three).first.focus()
    three.keyboard.press("End")
    three.keyboard.press("ArrowLeft")

    expect(three.locator("#photo-name")).to_have_text("chelsea.png")
    expect(cards(three).nth(1)).to_be_focused()


def test_arrow_keys_pass_over_a_photo_that_failed(
    page: "Page", files: Path, faults: Faults
) -> None:
    names = ("astronaut.png", "broken.jpg", "coffee.png")
    page.set_input_files("#file-a", [files / name for name in names])
    expect(page.locator("#status .text")).to_have_text("2 of 3 photos are ready.")
    faults.expect("422")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")

    expect(page.locator("#photo-name")).to_have_text("coffee.png")


def test_a_photo_that_is_removed_leaves_the_focus_nearby(three: "Page") -> None:
    cards(three).nth(1).click()
    expect(three.locator("#photo-name")).to_have_text("chelsea.png")
    cards(three).nth(1).focus()
    three.keyboard.press("Delete")

    expect(three.locator("#photo-name")).to_have_text("coffee.png")
    expect(cards(three)).to_have_count(2)
    expect(cards(three).nth(1)).to_be_focused()


def test_a_removed_photo_stays_away_when_the_next_one_fails(
    page: "Page", files: Path, faults: Faults
) -> None:
    held: list[Any] = []
    load(page, files / "coffee.png")
    page.route("**/v1/predict*", lambda route: held.append(route))
    page.set_input_files("#file-a", files / "broken.jpg")
    expect(cards(page).nth(1)).to_contain_text("being analysed")
    cards(page).first.click()
    expect(page.locator("#frame-a[aria-busy]")).to_have_count(0)

    page.click("#remove")
    expect(cards(page)).to_have_count(1)
    held[0].continue_()

    expect(page.locator("#welcome")).to_be_visible()
    faults.expect("422")


def test_a_photo_that_was_removed_is_not_shown_in_place_of_one_that_fails(
    page: "Page", files: Path, faults: Faults
) -> None:
    held: list[Any] = []
    page.route(
        "**/v1/predict*",
        lambda route: held.append(route) if len(held) < 2 else route.continue_(),
    )
    names = ("broken.jpg", "coffee.png", "chelsea.png")
    page.set_input_files("#file-a", [files / name for name in names])
    expect(cards(page).nth(1)).to_contain_text("being analysed")
    cards(page).nth(1).focus()
    page.keyboard.press("Delete")
    held[0].continue_()

    expect_ready(page, "chelsea.png")
    faults.expect("422")


def test_the_strip_is_sorted_by_score(three: "Page") -> None:
    three.select_option("#sort", "score")

    scores = [float(text) for text in cards(three).locator(".verdict").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)


def test_results_of_other_weights_of_the_same_version_are_computed_anew(
    page: "Page", files: Path
) -> None:
    def answer_with_other_weights(route: "Route") -> None:
        route.fulfill(json=route.fetch().json() | {"sha256": "0" * 64})

    load(page, files / "coffee.png")
    page.route("**/v1/model", answer_with_other_weights)
    with page.expect_request("**/v1/predict*"):
        page.reload()
    expect_ready(page, "coffee.png")


def test_a_browser_that_keeps_nothing_still_shows_a_photo(page: "Page", files: Path) -> None:
    page.add_init_script(
        """for (const name of ['sessionStorage', 'indexedDB']) {
          const refuse = () => { throw new DOMException('no site data', 'SecurityError'); };
          Object.defineProperty(window, name, { get: refuse });
        }"""
    )
    page.reload()
    load(page, files / "coffee.png")
    expect(page.locator("#score")).not_to_be_empty()


def test_work_survives_a_reload_until_it_is_cleared(three: "Page") -> None:
    asked: list[str] = []
    cards(three).nth(2).click()
    expect(three.locator("#photo-name")).to_have_text("coffee.png")
    three.keyboard.press("4")
    drag(three, (0.2, 0.2), (0.6, 0.6))
    share = figures(three.locator("#box-rows tr"))
    three.wait_for_timeout(500)  # a box is written down once it stands still
    three.on("request", lambda request: asked.append(request.url))

    three.reload()

    expect(three.locator("#photo-name")).to_have_text("coffee.png")
    expect(cards(three).nth(2).locator(".given")).to_have_text("★★★★4 stars")
    assert figures(three.locator("#box-rows tr")) == share
    assert not any("predict" in url for url in asked)
    three.on("dialog", lambda dialog: dialog.accept())
    three.get_by_role("button", name="Clear").click()
    three.reload()
    expect(three.locator("#model")).to_contain_text("aesthetic-saliency")
    expect(three.locator("#welcome")).to_be_visible()


def test_a_full_browser_is_told_of_and_can_be_cleared(page: "Page", files: Path) -> None:
    load(page, files / "coffee.png")
    page.evaluate("() => { IDBObjectStore.prototype.put = () => { throw new Error('no room') } }")
    load(page, files / "astronaut.png")
    expect(page.get_by_role("alert")).to_contain_text("cannot keep all of them: no room")

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#kept")).to_contain_text("This browser keeps them")
    page.reload()

    expect(page.locator("#model")).to_contain_text("aesthetic-saliency")
    expect(page.locator("#welcome")).to_be_visible()


def test_boxes_belong_to_their_photo(three: "Page") -> None:
    drag(three, (0.2, 0.2), (0.6, 0.6))
    expect(three.locator("#box-rows tr")).to_have_count(1)
    cards(three).nth(1).click()
    expect(three.locator("#box-rows tr")).to_have_count(0)

    cards(three).first.click()

    expect(three.locator("#box-rows tr")).to_have_count(1)


def test_a_busy_service_is_asked_again(page: "Page", files: Path, faults: Faults) -> None:
    refuse_first(page, "**/v1/predict*", 503)
    load(page, files / "coffee.png")

    faults.expect("503")


def refuse_first(page: "Page", address: str, status: int) -> None:
    """Answer the first request to `address` as a service that is busy."""
    page.route(
        address,
        lambda route: route.fulfill(
            status=status, headers={"Retry-After": "1"}, json={"detail": "busy"}
        ),
        times=1,
    )


def test_table_of_all_photos_is_safe_to_open(page: "Page", files: Path, tmp_path: Path) -> None:
    for name in ('=1+1, "x".png', "plain.png"):
        (tmp_path / name).write_bytes((files / "coffee.png").read_bytes())
    page.set_input_files("#file-a", sorted(tmp_path.iterdir()))
    expect(page.locator("#status .text")).to_have_text("2 of 2 photos are ready.")
    page.keyboard.press("3")

    with page.expect_download() as download:
        page.click("#save-csv")

    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    first, second = csv.DictReader(text.splitlines())
    assert first["file"] == '\'=1+1, "x".png'
    assert second["file"] == "plain.png"
    assert (first["stars"], second["stars"]) == ("3", "")
    assert first["score"] == second["score"]
    assert first["quality"]


def test_overlays_of_all_photos_are_one_archive(three: "Page") -> None:
    with three.expect_download() as download:
        three.click("#save-overlays")

    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            f"{name}.overlay.jpg" for name in ("astronaut", "chelsea", "coffee")
        ]
        overlay = np.asarray(Image.open(BytesIO(archive.read("coffee.overlay.jpg"))), float)
    assert difference(resized(overlay, photos.coffee()), photos.coffee()) > 20


def test_crops_of_all_photos_are_one_archive(page: "Page", files: Path, faults: Faults) -> None:
    page.set_input_files("#file-a", [files / "chelsea.tiff", files / "coffee.png"])
    expect(page.locator("#status .text")).to_have_text("2 of 2 photos are ready.")
    refuse_first(page, "**/v1/crops*", 429)

    with page.expect_download() as download:
        page.click("#save-crops")

    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"coffee.crop-{shape}-1.png" for shape in SHAPES]
    expect(page.get_by_role("alert")).to_contain_text("cannot cut their format: 1.")
    faults.expect("429")


def test_names_in_an_archive_are_harmless(page: "Page") -> None:
    encoded = page.evaluate(
        """async (names) => {
          const { toZip } = await import('/static/zip.js');
          const archive = await toZip(names.map((name) => ({ name, blob: new Blob(['x']) })));
          return [...new Uint8Array(await archive.arrayBuffer())];
        }""",
        ["../../a.png", "a\u2028b.png", "b.jpg", "B.jpg"],
    )

    with zipfile.ZipFile(BytesIO(bytes(encoded))) as archive:
        assert archive.namelist() == [".._.._a.png", "a\u2028b.png", "b.jpg", "B (2).jpg"]


# Views


def test_strength_goes_from_the_photo_to_the_overlay_of_the_service(
    shown: "Page", files: Path, server_url: str
) -> None:
    photo = photos.astronaut().astype(float)
    rendered = ask_overlay(server_url, files / "astronaut.png")

    set_strength(shown, 0)
    bare = resized(pixels(shown), photo)
    set_strength(shown, 100)
    full = resized(pixels(shown), photo)

    assert difference(bare, photo) < 2
    assert difference(full, rendered) < 2
    assert difference(full, photo) > 20


def test_light_picture_keeps_its_light_ground(
    page: "Page", tmp_path: Path, server_url: str
) -> None:
    design = np.full((300, 400, 3), 255, np.uint8)
    design[100:160, 150:250] = (200, 30, 30)
    Image.fromarray(design).save(tmp_path / "design.png")
    load(page, tmp_path / "design.png")
    set_strength(page, 100)

    shown = resized(pixels(page), design)
    assert shown[280:, :20].min() > 225
    assert difference(shown, ask_overlay(server_url, tmp_path / "design.png")) < 2


def test_every_view_differs(shown: "Page") -> None:
    seen = []
    for view in VIEWS:
        choose_view(shown, view)
        image = pixels(shown)
        assert image.std() > 5
        seen.append(image)
    for i, image in enumerate(seen):
        assert all(difference(image, other) > 5 for other in seen[:i])


def test_colours_change_the_map(shown: "Page") -> None:
    choose_view(shown, "heat")
    inferno = pixels(shown)

    shown.select_option("#colors", "viridis")

    assert difference(pixels(shown), inferno) > 20


@pytest.mark.parametrize("name", ["inferno", "magma", "viridis", "cividis"])
def test_colour_maps_are_the_published_ones(page: "Page", name: str) -> None:
    table = page.evaluate(
        "async (name) => [...(await import('/static/colormaps.js')).colorTable(name)]", name
    )

    levels = np.arange(256, dtype=np.uint8)[np.newaxis]
    wanted = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{name.upper()}"))[0, :, ::-1]
    assert np.abs(np.reshape(table, (256, 3)) - wanted).max() <= 4


# Boxes


def test_box_drawn_by_mouse_gets_its_share(shown: "Page", files: Path, server_url: str) -> None:
    drag(shown, (0.25, 0.125), (0.625, 0.5))

    share, by_area, peak, rank = figures(shown.locator("#box-rows tr"))
    box = [128, 64, 192, 192]
    (wanted,) = ask(server_url, "regions", files / "astronaut.png", boxes=json.dumps([box]))[
        "regions"
    ]
    # The mouse stops on pixels of the screen, not of the photo.
    assert float(share.rstrip("%")) / 100 == pytest.approx(wanted["share"], abs=0.02)
    assert float(by_area.rstrip("×")) == pytest.approx(wanted["share_per_area"], abs=0.2)
    assert float(peak.rstrip("%")) / 100 == pytest.approx(wanted["peak"], abs=0.02)
    assert rank == "1"
    expect(shown.locator(".box .tag")).to_have_text(f"1 · {share}")
    expect(shown.locator("#tab-boxes")).to_have_attribute("aria-selected", "true")


def test_boxes_by_numbers_moved_and_removed_by_keys(
    shown: "Page", files: Path, server_url: str
) -> None:
    boxes = [[128, 64, 192, 192], [300, 300, 400, 400]]  # the second reaches beyond the photo
    shown.click("#tab-boxes")
    for box in boxes:
        for name, value in zip(("x", "y", "width", "height"), box, strict=True):
            shown.fill(f"#box-form [name={name}]", str(min(value, 512)))
        shown.keyboard.press("Enter")
    boxes[1] = [112, 112, 400, 400]  # moved back inside
    rows = shown.locator("#box-rows tr")
    expect(rows).to_have_count(2)

    wanted = ask(server_url, "regions", files / "astronaut.png", boxes=json.dumps(boxes))["regions"]
    for row, region in zip(rows.all(), wanted, strict=True):
        share, _, _, rank = figures(row)
        assert float(share.rstrip("%")) / 100 == pytest.approx(region["share"], abs=0.001)
        assert rank == str(region["rank"])

    box = shown.locator(".box").first
    before = figures(rows.first)
    box.focus()
    for _ in range(8):
        box.press("ArrowRight")
    assert figures(rows.first) != before
    assert box.evaluate("box => parseFloat(box.style.left)") == pytest.approx(
        (128 + 8 * 5) / 512 * 100, abs=0.01
    )
    box.press("Shift+ArrowDown")
    assert box.evaluate("box => parseFloat(box.style.height)") == pytest.approx(
        (192 + 5) / 512 * 100, abs=0.01
    )
    box.press("Delete")
    expect(rows).to_have_count(1)
    expect(shown.locator(".box")).to_be_focused()  # the next one
    shown.click("#clear-boxes")
    expect(rows).to_have_count(0)


def test_box_is_moved_and_resized_by_mouse(shown: "Page") -> None:
    drag(shown, (0.2, 0.2), (0.4, 0.4))
    drag(shown, (0.3, 0.3), (0.5, 0.4))
    drag(shown, (0.597, 0.497), (0.797, 0.697))

    style = shown.locator(".box").evaluate(
        "({ style }) => [style.left, style.top, style.width, style.height].map(parseFloat)"
    )

    assert style == pytest.approx([40, 30, 40, 40], abs=0.8)


def test_a_click_draws_no_box(shown: "Page") -> None:
    drag(shown, (0.5, 0.5), (0.502, 0.502))

    expect(shown.locator(".box")).to_have_count(0)


# Crops


def test_crops_are_drawn_where_the_api_says(shown: "Page", files: Path, server_url: str) -> None:
    with shown.expect_response("**/v1/crops*") as answer:
        shown.click("#tab-crops")
    crops = answer.value.json()["crops"]
    cards = shown.locator(".card")
    expect(cards).to_have_count(6)  # two for each of three shapes
    assert len(crops) == 6

    for index in (0, 5):
        cards.nth(index).get_by_role("button", name="Show crop").click()
        outline = shown.locator(".crop.selected")
        crop = crops[index]
        placed = outline.evaluate(
            "({ style }) => [style.left, style.top, style.width, style.height].map(parseFloat)"
        )
        assert placed == pytest.approx([value / 5.12 for value in crop["box"].values()], abs=0.01)
        expect(outline).to_contain_text(f"{crop['kept_attention']:.0%}")
        expect(cards.nth(index)).to_contain_text(f"score {crop['score']:.1f}")


def test_crop_is_saved_at_full_resolution(shown: "Page") -> None:
    with shown.expect_response("**/v1/crops*") as answer:
        shown.click("#tab-crops")
    x, y, width, height = answer.value.json()["crops"][1]["box"].values()

    with shown.expect_download() as download:
        shown.get_by_role("button", name="Save crop 1:1, suggestion 2").click()

    assert download.value.suggested_filename == "astronaut.crop-1x1-2.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert np.array_equal(saved, photos.astronaut()[y : y + height, x : x + width])


def test_shapes_without_a_choice_are_refused(shown: "Page") -> None:
    shown.click("#tab-crops")
    expect(shown.locator(".card")).to_have_count(6)
    for box in shown.locator("[name=aspect]").all():
        box.uncheck(force=True)

    shown.get_by_role("button", name="Suggest", exact=True).click()

    expect(shown.locator("#error")).to_contain_text("Choose at least one shape.")


# Comparison


def test_two_photos_are_compared(shown: "Page", files: Path, server_url: str) -> None:
    shown.click("#tab-compare")
    with shown.expect_file_chooser() as chooser:
        shown.get_by_role("button", name="Compare with…").click()
    chooser.value.set_files(files / "coffee.png")
    expect_ready(shown, "coffee.png", "b")

    a, b = (ask(server_url, "predict", files / f"{n}.png") for n in ("astronaut", "coffee"))
    cells = shown.locator("#comparison-rows tr").first.locator(".number").all_inner_texts()
    assert [float(cell) for cell in cells] == pytest.approx([a["score"], b["score"]], abs=0.06)
    higher, lower = ("B", "A") if b["score"] > a["score"] else ("A", "B")
    expect(shown.locator("#differences")).to_contain_text(f"{higher} scores")
    expect(shown.locator("#differences")).to_contain_text(f"higher than {lower}")
    assert shown.locator("#two-distributions .bar").count() == 20

    choose_view(shown, "heat")
    assert pixels(shown, "#frame-b canvas").std() > 5
    assert pixels(shown).shape != pixels(shown, "#frame-b canvas").shape


def test_a_button_that_moved_is_followed_in_both_versions(
    page: "Page", tmp_path: Path, server_url: str
) -> None:
    boxes = {"old": (60, 60, 120, 60), "new": (240, 210, 120, 60)}
    for name, (x, y, width, height) in boxes.items():
        design = np.full((300, 400, 3), 240, np.uint8)
        design[y : y + height, x : x + width] = (200, 30, 30)
        Image.fromarray(design).save(tmp_path / f"{name}.png")
    page.set_input_files("#file-a", [tmp_path / "old.png", tmp_path / "new.png"])
    expect(page.locator("#status .text")).to_have_text("2 of 2 photos are ready.")
    page.click("#tab-compare")
    expect(page.locator("#comparison")).to_be_visible()

    drag(page, (0.15, 0.2), (0.45, 0.4))
    expect(page.locator("#box-layer-b .box")).to_have_count(1)
    drag(page, (0.3, 0.3), (0.75, 0.8), "#box-layer-b")

    expect(page.locator("#both-boxes:not([aria-busy])")).to_be_visible()
    cells = page.locator("#both-boxes tbody .number").all_inner_texts()
    for cell, (name, box) in zip(cells[:2], boxes.items(), strict=True):
        [region] = ask(server_url, "regions", tmp_path / f"{name}.png", boxes=json.dumps([box]))[
            "regions"
        ]
        assert float(cell.rstrip("%")) / 100 == pytest.approx(region["share"], abs=0.02)


def test_the_change_is_what_the_command_line_says(shown: "Page", files: Path) -> None:
    shown.click("#tab-compare")
    load(shown, files / "coffee.png", "b")

    predictor = Predictor.load(device="cpu")
    before, after = (predictor.predict(files / f"{name}.png") for name in ("astronaut", "coffee"))
    wanted = compare(before, after).moved
    said = shown.locator("#differences").inner_text()
    assert float(said.split("%")[0]) / 100 == pytest.approx(wanted, abs=0.01)
    colour = to_change_overlay(photos.coffee(), before.density, after.density)
    drawn = resized(pixels(shown, "#change > canvas"), colour)
    assert difference(drawn, colour) < 6


def test_comparison_is_saved_with_three_pictures(shown: "Page", files: Path) -> None:
    shown.click("#tab-compare")
    load(shown, files / "coffee.png", "b")

    with shown.expect_download() as download:
        shown.click("#save-comparison")

    assert download.value.suggested_filename == "astronaut-coffee.compared.png"
    height, width, _ = np.asarray(Image.open(download.value.path()).convert("RGB")).shape
    tall = pixels(shown, "#frame-b canvas").shape[0]
    assert height == tall + 4 * 16  # a title above, a scale below
    assert width == pytest.approx(tall + 2 * tall * 600 / 400 + 2 * 12, abs=2)


def test_second_photo_can_be_dropped_and_changed(shown: "Page", files: Path) -> None:
    shown.click("#tab-compare")
    give(shown, files / "coffee.png", "drop", "#second-zone")
    expect_ready(shown, "coffee.png", "b")
    give(shown, files / "chelsea.png", "drop", "#frame-b canvas")
    expect_ready(shown, "chelsea.png", "b")

    expect(shown.locator("#frame-a .name")).to_have_text("astronaut.png")


# Saving


def test_json_holds_what_the_api_said(shown: "Page", files: Path, server_url: str) -> None:
    with shown.expect_download() as download:
        shown.click("#save-json")
    saved = json.loads(Path(download.value.path()).read_text())
    wanted = ask(server_url, "predict", files / "astronaut.png")

    assert download.value.suggested_filename == "astronaut.json"
    assert saved["name"] == "astronaut.png"
    for answer in (saved["prediction"], wanted):
        answer.pop("timings")
    assert saved["prediction"].keys() == wanted.keys()
    assert saved["prediction"]["score"] == pytest.approx(wanted["score"], abs=1e-4)
    assert saved["prediction"]["score_distribution"] == pytest.approx(
        wanted["score_distribution"], abs=1e-4
    )
    assert saved["prediction"]["map_png"] is None


def test_map_is_saved_with_16_bits(shown: "Page") -> None:
    with shown.expect_download() as download:
        shown.click("#save-map")

    saved = cv2.imread(str(download.value.path()), cv2.IMREAD_UNCHANGED)
    assert download.value.suggested_filename == "astronaut.map.png"
    assert saved.shape == (512, 512)
    assert saved.dtype == np.uint16
    assert saved.max() == 65535


def test_picture_is_saved_as_shown(shown: "Page") -> None:
    choose_view(shown, "fog")

    with shown.expect_download() as download:
        shown.click("#save-overlay")

    saved = np.asarray(Image.open(download.value.path()).convert("RGB"), float)
    assert download.value.suggested_filename == "astronaut.fog.png"
    assert np.array_equal(saved, pixels(shown))


# What goes wrong


def test_broken_file_is_refused_in_the_words_of_the_api(
    page: "Page", files: Path, server_url: str, faults: Faults
) -> None:
    detail = httpx.post(
        f"{server_url}/v1/predict", files={"image": (files / "broken.jpg").read_bytes()}, timeout=60
    ).json()["detail"]

    page.set_input_files("#file-a", files / "broken.jpg")

    expect(page.get_by_role("alert")).to_contain_text(detail)
    expect(page.locator("#welcome")).to_be_visible()
    faults.expect("422")


def test_broken_file_leaves_the_photo_before(shown: "Page", files: Path, faults: Faults) -> None:
    before = pixels(shown)

    shown.set_input_files("#file-a", files / "broken.jpg")

    expect(shown.get_by_role("alert")).to_be_visible()
    expect(shown.locator("#photo-name")).to_have_text("astronaut.png")
    assert np.array_equal(pixels(shown), before)
    faults.expect("422")
    load(shown, files / "coffee.png")
    expect(shown.get_by_role("alert")).to_be_hidden()


def test_server_that_does_not_answer(page: "Page", files: Path, faults: Faults) -> None:
    page.route("**/v1/predict*", lambda route: route.abort())

    page.set_input_files("#file-a", files / "coffee.png")

    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.locator("#welcome")).to_be_visible()
    faults.expect("ERR_FAILED")


def test_file_beyond_the_limit_is_not_sent(page: "Page", tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(40 * 2**20))

    page.set_input_files("#file-a", tmp_path / "large.jpg")

    expect(page.get_by_role("alert")).to_contain_text("This server takes at most 33.6 MB.")


def test_api_key_is_asked_for_and_kept_for_the_tab(
    browser: "Browser", serve: Any, tiny_weights: Path, files: Path, faults: Faults
) -> None:
    from service.security import new_key

    key, hashed = new_key()
    with serve(weights=tiny_weights, api_keys=hashed) as server, browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.goto(server.url)
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        faults.expect("401")

        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator("#model")).to_contain_text("aesthetic-saliency")
        load(page, files / "coffee.png")
        page.reload()
        expect(page.locator("#model")).to_contain_text("aesthetic-saliency")
        expect(page.get_by_label("API key")).to_be_hidden()


def test_all_that_waits_for_the_key_goes_on_with_it(
    browser: "Browser", serve: Any, tiny_weights: Path, files: Path
) -> None:
    from service.security import new_key

    key, hashed = new_key()
    with serve(weights=tiny_weights, api_keys=hashed) as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        expect(page.get_by_label("API key")).to_be_visible()
        with page.expect_response("**/v1/predict*"):
            page.set_input_files("#file-a", files / "coffee.png")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use key").click()
        expect_ready(page, "coffee.png")
        expect(page.locator("#model")).to_contain_text("aesthetic-saliency")


def test_heads_that_the_weights_lack_are_left_out(
    page: "Page", files: Path, server_url: str
) -> None:
    lacking = dict.fromkeys(
        (
            *("score", "score_std", "disagreement", "score_distribution"),
            *("saliency", "quality", "map_png"),
        )
    )
    answer = ask(server_url, "predict", files / "coffee.png") | lacking
    page.route("**/v1/predict*", lambda route: route.fulfill(json=answer))
    page.set_input_files("#file-a", files / "coffee.png")

    expect(page.locator("#photo-name")).to_have_text("coffee.png")
    expect(page.locator("#beauty")).to_be_hidden()
    expect(page.locator("#attention")).to_be_hidden()
    for view in VIEWS:
        choose_view(page, view)
        assert difference(resized(pixels(page), photos.coffee()), photos.coffee()) < 4
    page.click("#tab-compare")
    page.set_input_files("#file-b", files / "astronaut.png")
    expect(page.locator("#comparison-rows tr")).to_have_count(6)


def test_all_boxes_go_with_their_partners(shown: "Page", files: Path) -> None:
    drag(shown, (0.2, 0.2), (0.6, 0.6))
    shown.click("#tab-compare")
    load(shown, files / "coffee.png", "b")
    expect(shown.locator("#box-layer-b .box")).to_have_count(1)
    shown.click("#tab-boxes")
    shown.click("#clear-boxes")
    expect(shown.locator("#box-layer-b .box")).to_have_count(0)


def test_the_second_version_that_becomes_the_first_leaves_room(three: "Page") -> None:
    three.click("#tab-compare")
    expect_ready(three, "chelsea.png", "b")
    three.click("#remove")  # what stood beside it is shown
    expect_ready(three, "chelsea.png")
    expect(three.locator("#second-zone")).to_be_visible()


def test_a_photo_removed_on_its_way_to_the_comparison_leaves_room(
    three: "Page", files: Path
) -> None:
    held: list[Any] = []
    three.route("**/v1/predict*", lambda route: held.append(route))
    three.click("#tab-compare")
    expect(three.locator("#frame-b[aria-busy]")).to_have_count(0)
    with three.expect_request("**/v1/predict*"):
        three.set_input_files("#file-b", files / "chelsea.tiff")
    expect(three.locator("#frame-b[aria-busy]")).to_have_count(1)
    cards(three).filter(has_text="chelsea.tiff").focus()  # once the strip shows it
    three.keyboard.press("Delete")
    expect(three.locator("#frame-b[aria-busy]")).to_have_count(0)
    expect(three.locator("#second-zone")).to_be_visible()


def test_a_folder_that_cannot_be_read_is_told(page: "Page") -> None:
    page.evaluate(
        """() => {
          const refuse = (done, failed) => failed(new DOMException('no permission'));
          const reader = { readEntries: refuse };
          const folder = { isDirectory: true, createReader: () => reader };
          DataTransferItem.prototype.webkitGetAsEntry = () => folder;
          const data = new DataTransfer();
          data.items.add(new File(['x'], 'folder'));
          document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true }));
        }"""
    )
    expect(page.locator("#error")).to_contain_text("cannot be read by the browser: no permission")


# For everybody


def test_everything_is_reached_by_keyboard(page: "Page", files: Path) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(files / "astronaut.png"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()
    page.keyboard.press("Enter")
    expect_ready(page, "astronaut.png")
    expect(page.locator("#photo-name")).to_be_focused()

    page.locator("#new-folder").focus()
    overlay = pixels(page)
    page.keyboard.press("Tab")
    expect(page.locator("input[value=overlay]")).to_be_focused()
    page.keyboard.press("ArrowRight")
    assert difference(pixels(page), overlay) > 5
    page.keyboard.press("Tab")
    expect(page.get_by_label("Strength")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Colours")).to_be_focused()
    for name in ("Picture", "Map", "JSON"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Result")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Boxes")).to_be_focused()
    expect(page.locator("#boxes")).to_be_visible()
    for value in ("10", "20", "100", "200"):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    expect(page.locator("#box-rows tr")).to_have_count(1)
    page.get_by_role("tab", name="Boxes").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Compare")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Result")).to_be_focused()


@pytest.mark.parametrize("width", [320, 375, 820])
def test_no_panel_scrolls_sideways(page: "Page", files: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 812})
    assert overflow(page) == 0
    load(page, files / "astronaut.png")
    drag(page, (0.2, 0.2), (0.6, 0.6))
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        if panel == "crops":
            expect(page.locator(".card")).to_have_count(6)
        if panel == "compare":
            load(page, files / "coffee.png", "b")
        assert overflow(page) == 0, panel
        assert page.locator(".panel").evaluate("e => e.scrollWidth - e.clientWidth") == 0, panel


def overflow(page: "Page") -> int:
    return page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(three: "Page", files: Path, scheme: str) -> None:
    three.emulate_media(color_scheme=scheme)
    drag(three, (0.2, 0.2), (0.6, 0.6))
    for panel in PANELS:
        three.click(f"#tab-{panel}")
        if panel == "crops":
            expect(three.locator(".card")).to_have_count(6)
        if panel == "compare":
            load(three, files / "coffee.png", "b")
        expect(three.locator("[aria-busy]:visible")).to_have_count(0)  # figures to come are faint
        found = Axe().run(three)
        assert found.violations_count == 0, f"{panel}: {found.generate_report()}"


def test_what_ends_beside_other_work_is_said_when_all_is_done(shown: "Page", files: Path) -> None:
    held: list[Any] = []
    shown.route("**/v1/regions*", lambda route: route.continue_() if held else held.append(route))
    drag(shown, (0.2, 0.2), (0.6, 0.6))
    expect(shown.locator("#status .text")).to_have_text("Measuring boxes…")
    shown.click("#tab-compare")
    with shown.expect_response("**/v1/regions*"):  # of the second photo, which gets the box too
        load(shown, files / "coffee.png", "b")

    held[0].continue_()

    expect(shown.locator("#status .text")).to_contain_text("coffee.png is ready.")
    expect(shown.locator("#status .text")).to_contain_text("Boxes are measured.")


def test_nothing_moves_where_motion_is_unwelcome(page: "Page", files: Path) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.route("**/v1/predict*", lambda route: None)  # never answers
    page.set_input_files("#file-a", files / "coffee.png")
    expect(page.locator("#frame-a[aria-busy]")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Looking at coffee.png")

    animation = page.locator("#frame-a .picture").evaluate(
        "e => getComputedStyle(e, '::after').animationName"
    )

    assert animation == "none"
