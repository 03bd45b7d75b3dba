"""Weights follow how far losses fell since the epoch's first batch."""

import pytest
import torch

from saliency.weighting import LbtwWeighting

BOTH = [True, True]


def call(weighting, losses, present=BOTH):
    weighting([torch.tensor(value) for value in losses], present)
    return weighting.current.tolist()


def test_the_first_batch_of_an_epoch_has_equal_weights():
    assert call(LbtwWeighting(2, 0.5), [7.0, 0.1]) == [1, 1]


def test_weights_are_powers_of_the_ratios_rescaled():
    weighting = LbtwWeighting(2, 0.5)
    call(weighting, [4.0, 0.1])
    # ratios 1/4 and 9, roots 1/2 and 3, which sum to 3.5 instead of 2
    assert call(weighting, [1.0, 0.9]) == pytest.approx([0.5 * 2 / 3.5, 3 * 2 / 3.5])


def test_an_exponent_of_0_is_equal_weights():
    weighting = LbtwWeighting(2, 0.0)
    call(weighting, [4.0, 0.1])
    assert call(weighting, [1.0, 0.9]) == [1, 1]


def test_a_new_epoch_starts_anew():
    weighting = LbtwWeighting(2, 0.5)
    call(weighting, [4.0, 0.1])
    weighting.end_epoch([4.0, 0.1])
    assert call(weighting, [1.0, 0.9]) == [1, 1]


def test_a_task_starts_when_it_first_shows_in_the_epoch():
    weighting = LbtwWeighting(2, 1.0)
    call(weighting, [4.0, 99.0], [True, False])
    call(weighting, [4.0, 1.0])
    assert call(weighting, [4.0, 3.0]) == pytest.approx([0.5, 1.5])


def test_a_lone_task_has_its_share():
    weighting = LbtwWeighting(2, 0.5)
    call(weighting, [4.0, 0.1])
    assert call(weighting, [1.0, 0.0], [True, False])[0] == 1
