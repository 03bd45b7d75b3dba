"""Strategies built from their options."""

from typing import get_args

import pytest

from saliency.errors import ConfigError
from saliency.tasks import AestheticTask, SaliencyTask
from saliency.weighting import (
    DtpWeighting,
    DwaWeighting,
    EqualWeighting,
    FixedWeighting,
    GradientWeighting,
    GradNormWeighting,
    InitialWeighting,
    LbtwWeighting,
    MgdaWeighting,
    PriorWeighting,
    RealtimeWeighting,
    SoftOptimalUncertaintyWeighting,
    Strategy,
    UncertaintyWeighting,
)

TASKS = (SaliencyTask(), AestheticTask())
BY_HAND = {"aesthetics": 10.0, "saliency": 1.0}  # not in the order of the tasks
NAMES = {
    "fixed": FixedWeighting,
    "equal": EqualWeighting,
    "initial": InitialWeighting,
    "prior": PriorWeighting,
    "realtime": RealtimeWeighting,
    "gradient": GradientWeighting,
    "uncertainty": UncertaintyWeighting,
    "gradnorm": GradNormWeighting,
    "dwa": DwaWeighting,
    "mgda": MgdaWeighting,
    "dtp": DtpWeighting,
    "lbtw": LbtwWeighting,
    "uwso": SoftOptimalUncertaintyWeighting,
}
CHOSEN = {"fixed": {"weights": BY_HAND}}
OPTIONS = {options.name: options for options in get_args(Strategy)}


def build(name, tasks=TASKS, **options):
    return OPTIONS[name](**options).build(tasks)


class TestBuilding:
    @pytest.mark.parametrize(("name", "kind"), NAMES.items())
    def test_each_name_builds_its_strategy(self, name, kind):
        assert type(build(name, **CHOSEN.get(name, {}))) is kind

    @pytest.mark.parametrize("name", NAMES)
    def test_one_task_alone_works(self, name):
        weights = {"weights": {"saliency": 1.0}} if name == "fixed" else {}
        assert build(name, TASKS[:1], **weights).current.shape == (1,)

    def test_fixed_weights_follow_the_order_of_the_tasks(self):
        assert build("fixed", weights=BY_HAND).current.tolist() == [1, 10]

    def test_saliency_is_a_classification_and_aesthetics_a_regression(self):
        assert build("uncertainty").scales == [1, 2]

    def test_focus_may_differ_by_task(self):
        assert build("dtp", gamma={"aesthetics": 3.0, "saliency": 0.5}).gammas == (0.5, 3)

    def test_focus_may_be_one_number(self):
        assert build("dtp", gamma=2.0).gammas == (2, 2)

    @pytest.mark.parametrize(
        ("name", "needs"),
        [("gradient", "features"), ("mgda", "features"), ("gradnorm", "last_layer")],
    )
    def test_each_looks_at_gradients_in_its_place(self, name, needs):
        assert build(name).needs == needs

    @pytest.mark.parametrize("name", ["gradient", "mgda", "gradnorm"])
    def test_the_place_may_be_chosen(self, name):
        assert build(name, shared="parameters").needs == "parameters"

    @pytest.mark.parametrize(
        ("name", "option", "value"),
        [
            ("gradnorm", "alpha", 0.12),
            ("dwa", "temperature", 5.0),
            ("mgda", "normalization", "loss+"),
            ("dtp", "smoothing", 0.25),
            ("lbtw", "alpha", 0.75),
        ],
    )
    def test_an_option_reaches_its_strategy(self, name, option, value):
        assert getattr(build(name, **{option: value}), option) == value

    @pytest.mark.parametrize("name", ["initial", "gradnorm"])
    def test_so_does_the_number_of_first_batches(self, name):
        assert build(name, initial_batches=3).initial.batches == 3

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"saliency": 1.0},
            {**BY_HAND, "depth": 1.0},
            {"saliency": 1.0, "a": 1.0},
            {"saliency": 1.0, "aesthetics": -1.0},
        ],
    )
    def test_weights_that_do_not_match_the_tasks_are_refused(self, wrong):
        with pytest.raises(ConfigError, match=r"weights.*each of \['saliency', 'aesthetics'\]"):
            build("fixed", weights=wrong)

    def test_focus_for_other_tasks_is_refused(self):
        with pytest.raises(ConfigError, match="gamma"):
            build("dtp", gamma={"saliency": 1.0})


def test_every_strategy_can_be_chosen():
    assert OPTIONS.keys() == NAMES.keys()


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("initial", "initial_batches", 0),
        ("gradnorm", "initial_batches", 0),
        ("gradnorm", "alpha", -0.1),
        ("dwa", "temperature", 0.0),
        ("dtp", "smoothing", 0.0),
        ("dtp", "smoothing", 1.1),
        ("lbtw", "alpha", float("nan")),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name, option, value):
    with pytest.raises(ConfigError, match=f"`{option}` should be"):
        OPTIONS[name](**{option: value})
