"""Weights follow how fast the epochs' mean losses fall."""

from math import exp

import pytest
import torch
from torchjd.scalarization import DWA

from saliency.weighting import DwaWeighting

NAN = float("nan")


def weights(weighting):
    weighting([torch.ones(())] * 2, [True, True])
    return weighting.current.tolist()


def after(*epochs, temperature=2.0):
    weighting = DwaWeighting(2, temperature)
    for means in epochs:
        weighting.end_epoch(means)
    return weights(weighting)


@pytest.mark.parametrize("epochs", [[], [(8.0, 1.0)]])
def test_weights_are_1_over_the_first_two_epochs(epochs):
    assert after(*epochs) == [1, 1]


def test_the_third_epoch_is_the_softmax_of_the_ratios():
    first, second = exp(0.25 / 2), exp(2 / 2)
    expected = [2 * first / (first + second), 2 * second / (first + second)]
    assert after((8.0, 1.0), (2.0, 2.0)) == pytest.approx(expected)


def test_only_the_last_two_epochs_count():
    assert after((5.0, 5.0), (8.0, 1.0), (2.0, 2.0)) == after((8.0, 1.0), (2.0, 2.0))


def test_weights_sum_to_the_number_of_tasks():
    assert sum(after((8.0, 1.0), (0.1, 9.0))) == pytest.approx(2)


def test_a_high_temperature_makes_weights_even():
    assert after((8.0, 1.0), (2.0, 2.0), temperature=1e6) == pytest.approx([1, 1], abs=1e-5)


def test_an_epoch_without_a_task_is_not_in_its_history():
    assert after((8.0, 1.0), (4.0, NAN), (1.0, 2.0)) == after((4.0, 1.0), (1.0, 2.0))


def test_a_task_that_pauses_keeps_its_ratio():
    assert after((8.0, 1.0), (4.0, 2.0), (2.0, NAN)) == after((8.0, 1.0), (4.0, 2.0))


def test_a_task_without_a_history_counts_as_standing_still():
    assert after((1.0, NAN), (1.0, 3.0)) == [1, 1]


def test_it_agrees_with_torchjd():
    theirs, ours = DWA(temperature=2.0), DwaWeighting(3, 2.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        batches = torch.rand(4, 3, generator=generator)
        for losses in batches:
            expected = theirs(losses)
            torch.testing.assert_close(ours(list(losses), [True] * 3), expected)
        theirs.step()
        ours.end_epoch(batches.mean(dim=0).tolist())
