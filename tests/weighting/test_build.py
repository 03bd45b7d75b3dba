"""A strategy's name builds the strategy, in the order of the tasks."""

import pytest

from saliency.errors import ConfigError
from saliency.tasks import AestheticTask, SaliencyTask
from saliency.weighting import (
    WEIGHTINGS,
    EqualWeighting,
    FixedWeighting,
    UncertaintyWeighting,
    build_weighting,
)

TASKS = (SaliencyTask(), AestheticTask())
BY_HAND = {"aesthetics": 10.0, "saliency": 1.0}  # not in the order of the tasks


@pytest.mark.parametrize(
    ("name", "kind"),
    [("uncertainty", UncertaintyWeighting), ("equal", EqualWeighting), ("fixed", FixedWeighting)],
)
def test_each_name_builds_its_strategy(name, kind):
    assert type(build_weighting(name, TASKS, BY_HAND)) is kind


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_one_task_alone_works(name):
    assert build_weighting(name, TASKS[:1], {"saliency": 1.0}).current.shape == (1,)


def test_fixed_weights_follow_the_order_of_the_tasks():
    assert build_weighting("fixed", TASKS, BY_HAND).current.tolist() == [1, 10]


def test_saliency_is_a_classification_and_aesthetics_a_regression():
    weighting = build_weighting("uncertainty", TASKS)
    assert isinstance(weighting, UncertaintyWeighting)
    assert weighting.scales == [1, 2]


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"uncertainty, equal, fixed\. Found 'gradnorm'"):
        build_weighting("gradnorm", TASKS)


@pytest.mark.parametrize(
    "fixed", [None, {}, {"saliency": 1.0}, {**BY_HAND, "depth": 1.0}, {"saliency": 1.0, "a": 1.0}]
)
def test_weights_that_do_not_match_the_tasks_are_refused(fixed):
    with pytest.raises(ConfigError, match=r"each of \['saliency', 'aesthetics'\]"):
        build_weighting("fixed", TASKS, fixed)
