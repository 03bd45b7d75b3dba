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
"""Most tasks whose groupings are all compared: 8 tasks have 4,140, 10 already 115,975."""


def task_affinity(errors: Tensor) -> Tensor:
    """Return how likely each two tasks agree on whether an example is easy or hard.

    An example is hard for a task if its error is the task's mean error or more.

    `A(i, j) = P(both hard) + P(neither hard)` over the examples with labels of both. Two
    tasks without such an example get the value of independent tasks,
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
    branch has affinity 1 with itself, because tasks in it are not separated any more.

    Args:
        affinity: (T, T) affinities of the tasks.
        branches: The branch of each task.

    Returns:
        (C, C) float64 affinities of the C branches, 0..1.
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
    """Return how poorly the branches within groups go together, as a mean over groups.

    A group costs `1 - mean_k min_l B(k, l)` over its branches, which is 0 for a single one.

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

    Only alpha / L_0 matters. With the defaults two tasks are separated at the deepest stage if they
    agree on less than 3/4 of the examples, one pooling before it if on less than 1/2.

    Note: the paper looks for the g of each d by spectral clustering of the affinities, made for
    many tasks. Here they are few enough to try all g, and the cheapest is found for certain.
    The default of alpha is this project's own.

    Args:
        affinity: (T, T) affinities of the tasks.
        branches: The branch of each task right above the stage, at most 8 branches.
        most: Most groups.
        poolings: p, how often the features are halved between the stage and the deepest one.
        branching: alpha, cost of branches that do not go together; larger means more groups.
        branch_cost: L_0, cost of one more group at the deepest stage.

    Returns:
        The group of each task. Among equally cheap groupings, one with the fewest groups.
    """
    between = branch_affinity(affinity, branches)
    candidates = sorted(groupings(len(between), most), key=max)

    def cost(grouping: tuple[int, ...]) -> float:
        more = max(grouping) * branch_cost * 2.0**poolings
        # Rounded, so that equal costs do not differ in their last digit.
        return round(more + branching * separation_cost(between, grouping), 9)

    best = min(candidates, key=cost)
    return tuple(best[branch] for branch in branches)
