"""The page of an output folder in a real browser, from disk."""

import json
import re
import shutil

import pytest

from saliency import Predictor
from saliency.batch import Journal, Pictures, find_files, name_photos, predict_files, read_entries
from saliency.batch.report import write_report
from saliency.datasets import DrawnDataset
from saliency.rendering import encode_png
from saliency.score_reference import ScoreReference

COUNT = 60


@pytest.fixture(scope="module")
def results(tiny_weights, tmp_path_factory):
    """Return the output folder of 60 photos, one of them broken, one with markup for a name."""
    photos = tmp_path_factory.mktemp("photos")
    for number, sample in enumerate(DrawnDataset(COUNT, seed=0)):
        (photos / f"photo {number:02}.png").write_bytes(encode_png(sample.image))
    (photos / "photo 00.png").rename(photos / "<b>'&\"#%.png")
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    out = tmp_path_factory.mktemp("out")
    predictor = Predictor.load(tiny_weights, "cpu")
    with Journal(out, "these weights") as journal:
        found = name_photos(find_files([str(photos)]), journal.owners())
        for _ in predict_files(predictor, found, journal, Pictures()):
            pass
    return out


@pytest.fixture(scope="module")
def report(results):
    reference = ScoreReference((1.0, 10.0), "", {})
    settings = {"Weights": "tiny <1>"}
    return write_report(results, lambda: read_entries(results), settings, reference)


@pytest.fixture
def page(browser, report):
    faults = []
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else faults.append(r.url),
        )
        page.goto(report.as_uri())
        yield page
    assert faults == []


def scores(page) -> list[float]:
    """Return the scores of the cards that exist, in the page's order."""
    return [float(text.split(",")[0]) for text in page.locator(".card .score").all_inner_texts()]


def test_every_photo_that_was_predicted_is_counted(page):
    assert page.locator("#count").inner_text() == f"{COUNT} of {COUNT}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("enlarged", [False, True])
def test_axe_finds_no_barrier(page, scheme, enlarged):
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    if enlarged:
        page.locator(".card").first.click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_only_what_is_near_the_window_exists(page):
    assert 0 < page.locator(".card").count() < COUNT


def test_scrolling_brings_the_rest(page):
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    lowest = min(p["score"] for p in photos_of(page))
    page.wait_for_function(
        "low => [...document.querySelectorAll('.card .score')]"
        ".some(s => Math.abs(parseFloat(s.textContent) - low) < .006)",
        arg=lowest,
    )


def photos_of(page):
    return json.loads(page.locator("#photos").text_content())


def test_the_highest_score_is_first(page):
    assert scores(page)[0] == pytest.approx(max(p["score"] for p in photos_of(page)), abs=0.006)
    assert scores(page) == sorted(scores(page), reverse=True)


def test_another_order_is_a_choice_away(page):
    page.locator("#sort").select_option("score")
    assert scores(page) == sorted(scores(page))


def test_names_are_filtered(page):
    page.locator("#name").fill("photo 1")
    assert page.locator("#count").inner_text() == f"10 of {COUNT}"


def test_scores_are_filtered(page):
    middle = sorted(p["score"] for p in photos_of(page))[COUNT // 2]
    page.locator("#low").fill(f"{middle:.3f}")
    left = int(page.locator("#count").inner_text().split()[0])
    assert abs(left - COUNT // 2) <= 2
    assert min(scores(page)) >= middle - 0.01


def test_the_attention_shows_while_the_mouse_is_over_a_photo(page):
    glow = page.locator(".card").nth(1).locator(".glow")
    assert not glow.is_visible()
    page.locator(".card").nth(1).hover()
    assert glow.is_visible()


def test_arrow_keys_walk_and_enter_enlarges(page):
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.dataset.place")
    assert focused == "1"
    page.keyboard.press("Enter")
    assert page.locator("#large").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()


def test_arrow_keys_go_on_while_a_photo_is_enlarged(page):
    page.locator(".card").first.click()
    page.keyboard.press("ArrowRight")
    name = page.locator(".card").nth(1).locator(".name").get_attribute("title")
    assert page.locator("#large-name").inner_text() == f"{name} (2 of {COUNT})"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.place") == "1"


def test_a_score_is_told_as_a_place_among_everyday_photos(page):
    page.locator(".card").first.click()
    score = max(p["score"] for p in photos_of(page))
    place = 5 * round((1 - (score - 1) / 9) * 20)
    expected = f"around the {place}th of 100 everyday photos; {score:.2f} of 10"
    assert expected in page.locator("#large-facts").inner_text()


def test_photos_come_before_charts_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    tops = [page.locator(part).bounding_box()["y"] for part in ("#gallery", ".charts")]
    assert tops[0] < tops[1]


def test_a_click_opens_the_overlay_itself(page):
    page.locator(".card").first.click()
    page.wait_for_function("document.getElementById('large-picture').naturalWidth > 0")
    source = page.locator("#large-picture").get_attribute("src")
    assert source.endswith(".overlay.png")
    width = page.evaluate("document.getElementById('large-picture').naturalWidth")
    assert width > 100


def test_a_name_with_markup_is_shown_as_it_is_and_its_files_open(page):
    page.locator("#name").fill("<b>")
    assert page.locator(".card .name").inner_text() == "<b>'&\"#%.png"
    page.locator(".card").click()
    page.wait_for_function("document.getElementById('large-picture').naturalWidth > 0")
    assert "overlay.png" in page.locator("#large-picture").get_attribute("src")


def test_failures_are_listed_with_their_reason(page):
    row = page.locator("#failures + table tr").nth(1)
    assert "broken.png" in row.inner_text()
    assert "cannot be decoded" in row.inner_text()


def test_settings_are_named(page):
    assert "tiny <1>" in page.locator("body").inner_text()


def test_all_photos_are_printed(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".card").count() == COUNT


def test_a_photo_that_is_gone_keeps_its_overlay(results, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    entries = list(read_entries(copy))
    lost = [e for e in entries if e.record]
    journal = copy / ".saliency-journal.jsonl"
    journal.write_text(journal.read_text().replace(json.dumps(lost[3].real_path), '"/nowhere.png"'))
    text = write_report(copy, lambda: read_entries(copy), {}).read_text()
    rows = json.loads(re.search(r'id="photos">(.*?)</script>', text, re.DOTALL)[1])
    assert [r["photo"] is None for r in rows].count(True) == 1
    assert all(r["glow"] for r in rows)


def test_no_photos_give_a_page(tmp_path):
    text = write_report(tmp_path, list, {}).read_text()
    assert "0 photos" in text
