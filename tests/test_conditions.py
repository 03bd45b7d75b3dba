"""A condition is a name, a comparison and a number, and nothing else."""

import pytest

from saliency.conditions import Condition
from saliency.errors import ConfigError

RESULTS = {
    "score_difference": -0.4,
    "moved": 0.25,
    "missing": None,
    "image": "a.png",
    "image_size": [3, 4],
    "regions": {"cta": {"share": 0.07, "rank": 2}, "cell phone.2": {"share": 0.5}},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("score_difference < -0.3", True),
        ("score_difference<-.5", False),
        ("regions.cta.share<=0.07", True),
        ("regions.cta.share < 0.07", False),
        ("regions.cta.rank >= 2", True),
        ("regions.cta.rank > 2", False),
        ("  moved   >  2.5e-1 ", False),
        ("moved >= +25e-2", True),
        ("regions.cell phone.2.share > 0", True),
    ],
)
def test_a_condition_compares_what_its_name_stands_for(text, holds):
    assert Condition.parse(text).holds(RESULTS) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "moved",
        "moved <",
        "< 3",
        "moved = 3",
        "moved == 3",
        "moved < other",
        "moved < nan",
        "moved < 1 or 1 < 2",
        "moved < 1; print()",
        "moved < 0x1",
        "moved < 1%",
        "0 > moved",
    ],
)
def test_what_is_no_condition_is_quoted(text):
    with pytest.raises(ConfigError, match="A condition should be") as caught:
        Condition.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["moves", "regions.cta", "image", "image_size", "__class__", "print()"]
)
def test_a_name_is_one_of_the_numbers(name):
    with pytest.raises(ConfigError, match=r"should name one of score_difference, moved, .*Found"):
        Condition.parse(f"{name} < 1").holds(RESULTS)


def test_a_number_that_is_not_known_neither_holds_nor_does_not():
    with pytest.raises(ConfigError, match="'missing' should be a number"):
        Condition.parse("missing < 1").holds(RESULTS)


def test_a_condition_is_printed_as_it_is_understood():
    assert str(Condition.parse(" moved>=.250")) == "moved >= 0.25"


def test_the_value_can_be_told():
    assert Condition.parse("regions.cta.share < 1").value_in(RESULTS) == 0.07
