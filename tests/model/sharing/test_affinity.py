import pytest
import torch

from saliency.model.sharing.affinity import (
    branch_affinity,
    choose_groups,
    groupings,
    separation_cost,
    task_affinity,
)

NAN = float("nan")


def symmetric(**pairs):
    """Return affinities of tasks 0.. from `a01=0.9` and so on; 1 on the diagonal."""
    count = max(int(digit) for name in pairs for digit in name[1:]) + 1
    affinity = torch.eye(count, dtype=torch.double)
    for name, value in pairs.items():
        i, j = int(name[1]), int(name[2])
        affinity[i, j] = affinity[j, i] = value
    return affinity


class TestTaskAffinity:
    def test_is_the_share_of_examples_that_are_hard_for_both_or_for_neither(self):
        # Means 1, 2 and 2.5: what each task finds hard is yynn, yyyn and nnny.
        errors = torch.tensor([[2.0, 3, 2], [2, 3, 2], [0, 2, 2], [0, 0, 4]])
        expected = symmetric(a01=3 / 4, a02=1 / 4, a12=0.0)
        assert torch.equal(task_affinity(errors), expected)

    def test_does_not_depend_on_the_scale_of_the_errors(self):
        errors = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
        scaled = errors * torch.tensor([1.0, 1000.0, 1e-3])
        assert torch.equal(task_affinity(scaled), task_affinity(errors))

    def test_looks_only_at_examples_with_both_labels(self):
        # They agree on the one example that they share, not by where the others lie.
        errors = torch.tensor([[2.0, NAN], [0, NAN], [3, 5], [NAN, 1], [NAN, 1]])
        assert task_affinity(errors)[0, 1] == 1

    def test_of_tasks_that_share_no_example_is_that_of_independent_ones(self):
        # Hard are 1 of 4 and 1 of 2: 1/4 * 1/2 + 3/4 * 1/2.
        errors = torch.tensor([[4.0, NAN], [1, NAN], [1, NAN], [1, NAN], [NAN, 3.0], [NAN, 1.0]])
        assert task_affinity(errors)[0, 1] == 1 / 2
        # 1 of 4 for both: 1/16 + 9/16.
        both = torch.cat([errors[:4], errors[:4].flip(1)])
        assert task_affinity(both)[0, 1] == 10 / 16

    def test_of_a_task_without_labels_is_one_half(self):
        errors = torch.tensor([[1.0, NAN], [2.0, NAN], [0.0, NAN]])
        assert task_affinity(errors).tolist() == [[1, 0.5], [0.5, 1]]


class TestBranches:
    def test_their_affinity_is_the_mean_over_tasks_of_the_least(self):
        affinity = symmetric(a01=0.9, a02=0.2, a12=0.6)
        # From {0, 1} to {2}: (.2 + .6) / 2; back: .2. Their mean is .3.
        between = branch_affinity(affinity, (0, 0, 1))
        assert torch.allclose(between, symmetric(a01=0.3))

    def test_of_single_tasks_have_the_affinity_of_the_tasks(self):
        affinity = symmetric(a01=0.9, a02=0.2, a12=0.6)
        assert torch.equal(branch_affinity(affinity, (0, 1, 2)), affinity)

    def test_alone_in_their_groups_cost_nothing(self):
        assert separation_cost(symmetric(a01=0.1, a02=0.2, a12=0.3), (0, 1, 2)) == 0

    def test_in_one_group_cost_what_the_least_alike_lack(self):
        # Least affinities: .1, .1, .3.
        cost = separation_cost(symmetric(a01=0.1, a02=0.5, a12=0.3), (0, 0, 0))
        assert cost == pytest.approx(1 - (0.1 + 0.1 + 0.3) / 3)

    def test_cost_the_mean_over_groups(self):
        cost = separation_cost(symmetric(a01=0.8, a02=0.0, a12=0.0), (0, 0, 1))
        assert cost == pytest.approx(0.2 / 2)


class TestGroupings:
    @pytest.mark.parametrize(
        ("count", "most", "expected"), [(1, 3, 1), (3, 3, 5), (4, 4, 15), (8, 8, 4140), (4, 2, 8)]
    )
    def test_are_all_there_once(self, count, most, expected):  # Bell and Stirling numbers
        found = list(groupings(count, most))
        assert len(found) == len(set(found)) == expected
        assert all(max(grouping) < most for grouping in found)

    def test_number_groups_as_they_appear(self):
        assert list(groupings(3, 3)) == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)]


class TestChoice:
    @pytest.mark.parametrize(
        ("agreement", "poolings", "expected"),
        [
            (0.74, 0, (0, 1)),
            (0.76, 0, (0, 0)),
            (0.49, 1, (0, 1)),
            (0.51, 1, (0, 0)),
            (0.01, 2, (0, 0)),
        ],
    )
    def test_two_tasks_part_if_they_agree_too_little(self, agreement, poolings, expected):
        affinity = symmetric(a01=agreement)
        assert choose_groups(affinity, (0, 1), 2, poolings=poolings) == expected

    def test_of_equally_cheap_groupings_takes_the_one_with_fewest_groups(self):
        assert choose_groups(symmetric(a01=0.75), (0, 1), 2) == (0, 0)

    def test_keeps_together_what_is_one_branch_above(self):
        affinity = symmetric(a01=0.0, a02=0.9, a12=0.0)  # 0 and 2 would go together
        groups = choose_groups(affinity, (0, 0, 1), 3)
        assert groups[0] == groups[1]

    def test_takes_no_more_groups_than_it_may(self):
        affinity = torch.eye(4, dtype=torch.double)
        assert choose_groups(affinity, (0, 1, 2, 3), 4, branching=100) == (0, 1, 2, 3)
        assert max(choose_groups(affinity, (0, 1, 2, 3), 3, branching=100)) == 2
        assert choose_groups(affinity, (0, 1, 2, 3), 1, branching=100) == (0, 0, 0, 0)

    def test_a_higher_price_of_branches_makes_fewer(self):
        affinity = symmetric(a01=0.6)
        assert choose_groups(affinity, (0, 1), 2, branch_cost=1) == (0, 1)
        assert choose_groups(affinity, (0, 1), 2, branch_cost=2) == (0, 0)

    def test_a_task_alone_stays_alone(self):
        assert choose_groups(torch.ones(1, 1), (0,), 2) == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_tree_of_tasks_is_recovered(seed):
    """Pairs find the same examples hard; two of the pairs agree on more than by chance."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    count = 4000
    first = draw(count) < 0.5
    second = first ^ (draw(count) < 0.4)  # agree on 60 %
    third = draw(count) < 0.5
    hard = torch.stack([first, second, third, first, second, third], dim=1)
    hard ^= draw(count, 6) < 0.02  # each task has some of its own
    scales = torch.tensor([1.0, 30, 0.01, 5, 2, 100])
    errors = scales * torch.where(hard, 1 + draw(count, 6), 0.9 * draw(count, 6))

    affinity = task_affinity(errors)
    branches = tuple(range(6))
    tree = []
    for poolings in (0, 1, 3):
        branches = choose_groups(affinity, branches, 6, poolings=poolings, branching=8)
        tree.append(branches)
    assert tree == [(0, 1, 2, 0, 1, 2), (0, 0, 1, 0, 0, 1), (0,) * 6]
