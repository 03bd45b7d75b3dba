"""Which format an Accept header asks for."""

import pytest

from service.negotiation import negotiate
from service.problems import Problem

OFFERED = ("application/json", "image/png", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/*", "image/png"),
        ("application/*", "application/json"),
        ("application/x-npy", "application/x-npy"),
        ("image/png, application/json", "application/json"),  # equals: the service's order
        ("image/png, application/json;q=0.9", "image/png"),
        ("application/json;q=0.1, */*;q=0.5", "image/png"),  # the most specific range decides
        ("*/*, application/json;q=0", "image/png"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),  # a browser
        ("application/json; charset=utf-8", "application/json"),
        (" image/png ; q = 1 ", "image/png"),
        ("image/png;q=2", "image/png"),
        ("image/png;q=x, application/x-npy;q=0.1", "application/x-npy"),
    ],
)
def test_the_best_of_what_is_offered_is_chosen(accept, chosen):
    assert negotiate(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept",
    ["image/jpeg", "text/*", "application/json;q=0", "*/*;q=0", "png", ",", "*;q=1", "a/b;q=nan"],
)
def test_what_is_not_offered_is_a_406_that_names_what_is(accept):
    with pytest.raises(Problem) as caught:
        negotiate(accept, OFFERED)
    assert caught.value.status == 406
    assert all(media_type in caught.value.detail for media_type in OFFERED)


def test_a_quality_that_is_no_number_is_none():
    assert negotiate("application/json;q=nan, image/png;q=0.1", OFFERED) == "image/png"
