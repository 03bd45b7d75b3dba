"""The study's verdicts follow from its numbers, and the page shows them."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from saliency.experiments.gradnorm_page import judge, to_json, write_page
from saliency.experiments.gradnorm_toy import (
    STRATEGIES,
    AlphaRun,
    History,
    Plan,
    Setup,
    Statics,
    ToyResult,
    fixed_config,
    run_study,
    train,
)
from saliency.metrics import Interval

TWO = Setup((1.0, 100.0), steps=8, epoch_steps=2, batch=4, held_out=8)
PLAN = Plan((TWO, replace(TWO, sigmas=(1.0, 10.0, 50.0))), seeds=2, statics=6, alphas=(0.0, 1.0))
GRADNORM, UNCERTAINTY = STRATEGIES.index("gradnorm"), STRATEGIES.index("uncertainty")


def history(gradnorm=1.0, others=2.0, early_uncertainty=2.0, weights=(1.9, 0.1)):
    """Two tasks over twenty epochs; scores are constant but for uncertainty's first half."""
    scores = np.full((21, len(STRATEGIES)), others)
    scores[:, GRADNORM] = gradnorm
    scores[:10, UNCERTAINTY] = early_uncertainty
    shares = np.tile(np.array(weights), (20, len(STRATEGIES), 1))
    return History(np.arange(21), np.stack([scores / 2, scores / 2], axis=2), shares)


def statics(distances, scores, low=0.5, high=0.9):
    values = [np.array(v, dtype=float) for v in (distances, scores)]
    return Statics(np.ones((len(scores), 2)), values[1], values[0], 0.7, Interval(low, high), 1.0)


def alphas(*spreads):
    return [AlphaRun(float(i), 1.0, np.ones(2), spread) for i, spread in enumerate(spreads)]


def verdicts(histories=None, tried=None, swept=None):
    histories = histories or (history(), history())
    tried = tried or statics(range(20), range(20))
    swept = swept or alphas(0.1, 0.2, 0.3)
    found = judge(ToyResult(TWO, 0.0, histories, tried, swept))
    keys = ("equal", "uncertainty", "early", "small", "alpha", "nearer", "best")
    return {key: e.verdict for key, e in zip(keys, found, strict=True)}


def test_what_the_paper_reports_holds_where_the_numbers_say_so():
    seeds = (history(early_uncertainty=0.5), history(early_uncertainty=0.5))
    assert set(verdicts(seeds).values()) == {"holds"}


def test_the_opposite_numbers_give_the_opposite_verdicts():
    seeds = (history(gradnorm=3.0, early_uncertainty=4.0, weights=(0.1, 1.9)),) * 2
    tried = statics(range(20), range(20, 0, -1), -0.9, -0.5)
    found = verdicts(seeds, tried, alphas(0.3, 0.2, 0.1))
    assert set(found.values()) == {"does not hold"}


def test_a_claim_that_only_some_seeds_bear_out_is_mixed():
    found = verdicts((history(), history(gradnorm=3.0)))
    assert (found["equal"], found["uncertainty"]) == ("mixed", "mixed")


def test_being_behind_in_the_end_is_no_fast_start():
    assert verdicts((history(early_uncertainty=2.0),))["early"] == "does not hold"


def test_a_correlation_whose_interval_holds_0_is_mixed():
    tried = statics(range(20), range(20), -0.1, 0.4)
    assert verdicts(tried=tried)["nearer"] == "mixed"


@pytest.fixture(scope="module")
def study(in_float64):
    announced = []
    study = run_study(PLAN, lambda: announced.append(1))
    return study, len(announced)


def test_every_epoch_that_was_announced_is_run(study):
    assert study[1] == PLAN.epochs


def test_static_weights_lie_where_they_are_said_to(study):
    result = study[0].results[0]
    near = result.histories[0].mean_weights[GRADNORM]
    assert result.statics.weights.sum(axis=1) == pytest.approx(np.full(6, 2.0))
    np.testing.assert_allclose(
        result.statics.distances, np.linalg.norm(result.statics.weights - near, axis=1)
    )


def test_gradnorms_average_weights_are_trained_as_constants(study):
    result = study[0].results[0]
    near = result.histories[0].mean_weights[GRADNORM].tolist()
    alone = train(TWO, 0, [fixed_config(TWO, near)]).final[0]
    assert result.statics.at_mean == pytest.approx(alone, rel=1e-10)


def test_results_are_plain_json_that_holds_every_strategy(study):
    read = json.loads(json.dumps(to_json(study[0]), allow_nan=False))
    for problem, setup in zip(read["problems"], PLAN.setups, strict=True):
        assert tuple(problem["strategies"]) == STRATEGIES
        for values in problem["strategies"].values():
            assert np.shape(values["scores"]) == (PLAN.seeds, setup.epochs + 1)
            assert np.shape(values["weights"]) == (setup.epochs, len(setup.sigmas))


@pytest.mark.slow
def test_the_page_shows_every_finding_and_well_formed_charts(study, tmp_path):
    write_page(study[0], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for result in study[0].results:
        for expectation in judge(result):
            assert expectation.found.split(";")[0] in text.replace("&#39;", "'")
    charts = [part.split("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]
    assert len(charts) == len(PLAN.setups) * (len(STRATEGIES) + 5)
    for chart in charts:
        ET.fromstring("<svg" + chart)  # noqa: S314
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
