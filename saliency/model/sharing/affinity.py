"""Which tasks should share: how often they find the same examples hard, and the best grouping.

Pure functions of numbers. T is the number of tasks, N of examples. A grouping is a tuple of the
group of each task or branch; groups are numbered in the order in which they first appear.

Source:
    Lu, Kumar, Zhai, Cheng, Javidi, Feris, "Fully-adaptive feature sharing in multi-task networks
    with applications in person attribute classification" (2017), sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MOST_TASKS = 8
"""Tasks whose groupings are all compared: 4,140 of 8, and already 115,975 of 10."""


def task_affinity(errors: Tensor) -> Tensor:
    """Return how likely each two tasks agree on whether an example is easy or hard.

    An example is hard for a task if its error is the task's mean error or more.

    `A(i, j) = P(both hard) + P(neither hard)` over the examples that both have labels of. Two
    tasks without such an example get what they would have if they were independent,
    `p_i p_j + (1 - p_i)(1 - p_j)` with p the task's share of hard examples: 1/2 where that is 1/2.

    Args:
        errors: (N, T) >= 0; nan where an example has no label of a task.

    Returns:
        (T, T) float64, 0..1, symmetric, 1 on the diagonal.
    """
    errors = errors.double()
    known = ~errors.isnan()
    counts = known.sum(dim=0)
    hard = (known & (errors >= errors.nanmean(dim=0))).double()
    easy = known.double() - hard
    # A task without any label says nothing about what is hard.
    rates = torch.where(counts > 0, hard.sum(dim=0) / counts.clamp(min=1), 0.5)
    chance = rates.outer(rates) + (1 - rates).outer(1 - rates)
    common = known.double().T @ known.double()
    agreed = (hard.T @ hard + easy.T @ easy) / common.clamp(min=1)
    affinity = torch.where(common > 0, agreed, chance)
    return affinity.fill_diagonal_(1.0)


def branch_affinity(affinity: Tensor, branches: tuple[int, ...]) -> Tensor:
    """Return how well branches go together: their tasks that agree least decide.

    `B(k, l)` is the mean of `mean_{i in k} min_{j in l} A(i, j)` and the same from l to k. A
    branch goes with itself, for what it holds together is not parted any more.

    Args:
        affinity: (T, T) of tasks.
        branches: The branch of each task.

    Returns:
        (C, C) float64, 0..1, of the C branches.
    """
    count = max(branches) + 1
    tasks = [[t for t, own in enumerate(branches) if own == k] for k in range(count)]
    one_way = torch.stack(
        [
            torch.stack([affinity[mine][:, its].amin(dim=1).mean() for its in tasks])
            for mine in tasks
        ]
    )
    return ((one_way + one_way.T) / 2).fill_diagonal_(1.0)


def separation_cost(between: Tensor, grouping: tuple[int, ...]) -> float:
    """Return how far apart the branches are that share a group, mean over groups.

    A group costs `1 - mean_k min_l B(k, l)` over its branches, that is nothing for a single one.

    Args:
        between: (C, C) affinities of branches.
        grouping: The group of each branch.

    Returns:
        0..1.
    """
    costs = []
    for group in range(max(grouping) + 1):
        members = [k for k, own in enumerate(grouping) if own == group]
        costs.append(1 - float(between[members][:, members].amin(dim=1).mean()))
    return sum(costs) / len(costs)


def groupings(count: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to put `count` things into at most `most` groups."""

    def extend(start: tuple[int, ...], used: int) -> Iterator[tuple[int, ...]]:
        if len(start) == count:
            yield start
            return
        for group in range(min(used + 1, most)):
            yield from extend((*start, group), max(used, group + 1))

    return extend((), 0)


def choose_groups(
    affinity: Tensor,
    branches: tuple[int, ...],
    most: int,
    *,
    poolings: int = 0,
    branching: float = 4.0,
    branch_cost: float = 1.0,
) -> tuple[int, ...]:
    """Return the groups of tasks that a stage should have, given the branches above it.

    The grouping g of the branches into d groups that is cheapest:

    `(d - 1) L_0 2^p + alpha L_s(g)`

    Only alpha / L_0 matters. With the defaults two tasks part at the deepest stage if they agree
    on less than 3/4 of the examples, one pooling before it if on less than 1/2.

    Note: the paper looks for the g of each d by spectral clustering of the affinities, made for
    many tasks. Here they are few enough to try all g, and the cheapest is found for certain.
    The default of alpha is this project's own.

    Args:
        affinity: (T, T) of tasks.
        branches: The branch of each task right above the stage, at most 8 branches.
        most: Groups at most.
        poolings: p, how often the features are halved between the stage and the deepest one.
        branching: alpha, what branches that do not go together cost; more means more groups.
        branch_cost: L_0, what one more group costs at the deepest stage.

    Returns:
        The group of each task. Of equally cheap groupings one with fewest groups.
    """
    between = branch_affinity(affinity, branches)
    candidates = sorted(groupings(len(between), most), key=max)

    def cost(grouping: tuple[int, ...]) -> float:
        more = max(grouping) * branch_cost * 2.0**poolings
        # Rounded, lest equal ones differ in their last digit.
        return round(more + branching * separation_cost(between, grouping), 9)

    best = min(candidates, key=cost)
    return tuple(best[branch] for branch in branches)
