"""Differences of arms with known answers."""

import numpy as np
import pytest

from saliency.experiments.ablation.compare import (
    Answer,
    Estimate,
    compare,
    metrics_of,
    pareto_front,
    point,
    summarize,
    verdict,
)
from saliency.experiments.ablation.measure import RunResult, SetMeasures
from saliency.experiments.ablation.study import Comparison
from saliency.metrics import Interval

IMAGES = 40
QUESTION = Comparison(question="Better?", arm="one", against="other")


def run(arm, repetition, cc, scores=None, groups=(), sets=("set",)):
    """Return a result with the CC of each image, or scores, equal in all sets."""
    images = [f"{i}.jpg" for i in range(IMAGES)]
    measures = SetMeasures(images=images, groups=list(groups))
    if cc is not None:
        measures.maps["CC"] = list(cc)
    if scores is not None:
        measures.scores.extend(scores)
        measures.ratings.extend(range(IMAGES))
    return RunResult(arm, repetition, 1, dict.fromkeys(sets, measures), {}, {}, 1.0, 10, "c", {})


def noisy(seed, mean, spread=0.1):
    return np.random.default_rng(seed).normal(mean, spread, IMAGES)


def arms(difference, repetitions=5, noise=0.01):
    """Return two arms whose images differ by `difference` on average."""
    others = [noisy(r, 0.8) for r in range(repetitions)]
    ones = [cc + noisy(100 + r, difference, noise) for r, cc in enumerate(others)]
    return {
        "one": [run("one", r, cc) for r, cc in enumerate(ones)],
        "other": [run("other", r, cc) for r, cc in enumerate(others)],
    }


def test_a_difference_far_above_the_noise_is_found():
    found = compare(QUESTION, arms(0.02)).differences["CC"]
    assert found.interval.low > 0.01
    assert found.value == pytest.approx(0.02, abs=0.004)


def test_pairing_images_finds_what_their_spread_would_hide():
    paired = compare(QUESTION, arms(0.02)).differences["CC"].interval
    alone = summarize(arms(0.02)["one"])["CC"].interval
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_no_difference_is_not_found():
    low, high = compare(QUESTION, arms(0.0)).differences["CC"].interval
    assert low < 0 < high


def test_repetitions_that_disagree_widen_the_interval():
    agreeing = arms(0.02)
    swings = [0.1, -0.06, 0.1, -0.06, 0.02]
    disagreeing = {
        "one": [
            run("one", r, np.array(o.sets["set"].maps["CC"]) + swings[r])
            for r, o in enumerate(agreeing["other"])
        ],
        "other": agreeing["other"],
    }
    low, high = compare(QUESTION, disagreeing).differences["CC"].interval
    assert low < 0 < high


def test_only_repetitions_that_both_arms_have_count():
    both = arms(0.02)
    found = compare(QUESTION, {"one": both["one"][:2], "other": both["other"][1:]})
    assert found.differences["CC"].repetitions == 1


def test_arms_without_a_common_repetition_have_no_difference():
    both = arms(0.02)
    found = compare(QUESTION, {"one": both["one"][:1], "other": both["other"][1:]})
    assert found.differences == {}


def test_a_metric_that_one_arm_lacks_is_left_out():
    one = run("one", 0, noisy(0, 0.8), scores=range(IMAGES))
    found = compare(QUESTION, {"one": [one], "other": [run("other", 0, noisy(1, 0.8))]})
    assert list(found.differences) == ["CC"]


def test_sets_count_alike_whatever_their_size():
    small = SetMeasures(images=["a"], maps={"CC": [0.0]})
    large = SetMeasures(images=["a", "b", "c"], maps={"CC": [1.0, 1.0, 1.0]})
    result = RunResult("one", 0, 1, {"s": small, "l": large}, {}, {}, 1.0, 10, "c", {})
    assert point(result, "CC") == 0.5


def test_perfect_scores_have_rank_correlation_1():
    found = summarize([run("one", 0, None, scores=range(IMAGES))])
    assert found["SRCC"].value == pytest.approx(1)


def test_images_of_one_theme_are_drawn_together():
    # Two themes of opposite quality: resampling themes gives means from 0 to 1.
    cc = np.repeat([0.0, 1.0], IMAGES // 2)
    together = summarize([run("one", 0, cc, groups=np.repeat(["a", "b"], IMAGES // 2))])
    assert together["CC"].interval == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("metric", "low", "high", "word"),
    [
        ("CC", 0.01, 0.02, "better"),
        ("CC", -0.02, -0.01, "worse"),
        ("CC", -0.01, 0.02, "no difference found"),
        ("KLDiv", 0.01, 0.02, "worse"),
        ("KLDiv", -0.02, -0.01, "better"),
    ],
)
def test_an_interval_decides_the_word(metric, low, high, word):
    assert verdict(metric, Estimate(0.0, Interval(low, high), 5)) == word


def test_an_answer_without_results_says_so():
    assert Answer("Better?", "one", "other", {}).in_words() == "not measured yet"


def told(pairs, metric="mood SRCC"):
    """Return a result with predictions and labels of an attribute alone."""
    images = [f"{i}.jpg" for i in range(len(pairs))]
    measures = SetMeasures(
        images=images, attributes={metric: [list(c) for c in zip(*pairs, strict=True)]}
    )
    return RunResult("one", 0, 1, {"set": measures}, {}, {}, 1.0, 10, "c", {})


def test_an_attribute_on_a_scale_is_ranked_where_it_is_known():
    run = told([(0.1, 0.2), (0.5, float("nan")), (0.4, 0.3), (0.9, 0.8)])
    assert metrics_of([run]) == ["mood SRCC"]
    assert point(run, "mood SRCC") == pytest.approx(1)


def test_an_attribute_with_classes_is_right_or_wrong():
    run = told([(1, 1), (0, 1), (2, 2), (0, 0)], "kind accuracy")
    assert point(run, "kind accuracy") == 0.75


def test_only_metrics_of_all_runs_are_compared():
    assert metrics_of([told([(1, 1)]), run("one", 0, noisy(0, 0.8))]) == []


def test_the_front_is_what_nothing_beats():
    points = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.5, 0.5), "d": (0.4, 0.5), "e": (1.0, 0.0)}
    assert pareto_front(points) == ["a", "b", "c", "e"]
