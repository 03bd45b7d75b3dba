"""The API's own page in a real browser, which gets everything from the service itself."""

import pytest

try:
    from playwright.sync_api import expect
except ImportError:  # the fixture `browser` says how to get it
    expect = None


@pytest.fixture
def faults():
    found = []
    yield found
    assert found == []


def test_the_page_shows_every_route_and_asks_no_other_host(browser, tiny, faults):
    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((tiny.url, "data:")) else faults.append(r.url),
        )
        page.goto(f"{tiny.url}/docs")
        for path in ("/v1/predict", "/v1/predict/batch", "/v1/regions", "/v1/crops", "/v1/model"):
            expect(page.locator(f'[data-path="{path}"]')).to_be_visible()
