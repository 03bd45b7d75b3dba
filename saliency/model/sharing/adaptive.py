"""Fully-adaptive sharing: a tree of stages that is split in training, deepest stage first."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from saliency.errors import ConfigError, require
from saliency.model.encoder import Encoder, hold_batch_norms
from saliency.model.sharing.affinity import MOST_TASKS
from saliency.model.sharing.base import (
    GrowthPlan,
    SharedFeatures,
    Sharing,
    SharingOptions,
    Tree,
    for_heads,
)


class Copied(NamedTuple):
    """A stage of the encoder and a module that starts as its copy."""

    source: nn.Module
    copy: nn.Module


class AdaptiveSharing(Sharing):
    """A shared trunk whose deep stages are split between groups of tasks, one stage at a time.

    All tasks start with one encoder. After some epochs the deepest stage gets a copy for each
    further group of tasks, later the stage before it, and so on until a stage is better shared.
    Tasks share a group if they find the same examples hard:

    `A(i, j) = P(x is hard for both i and j, or for neither)`

    and a stage has the grouping g into d groups that is cheapest:

    `(d - 1) L_0 2^p + alpha L_s(g)`

    p is how often features are halved above the stage, L_s how little the tasks within a group
    agree. `saliency.model.sharing.affinity` has both; `saliency.training.growth` measures and
    splits.

    Shared, for strategies that look at gradients, are the parameters of all groups; features are
    each group's own, and there is one last layer for each group. Gradients of tasks that a stage
    separates are orthogonal there; the tasks meet in the stages that they still share.

    Note: the paper starts from a thin network that simultaneous orthogonal matching pursuit picks
    from a wide one. Here the pretrained timm encoder itself is the thin network: choose a small
    one.

    Cost: one encoder while all stages are shared; then, in parameters and in FLOPs, each split
    stage once more for each further group. Of `tf_efficientnet_lite2` at 288x384 the final
    features split in two are 1.09 times the parameters and 1.04 times the FLOPs, with stride 32
    1.76 and 1.33, with stride 16 1.98 and 1.70.

    Source:
        Lu, Kumar, Zhai, Cheng, Javidi, Feris, "Fully-adaptive feature sharing in multi-task
        networks with applications in person attribute classification" (2017).

    Attributes:
        tree: For each stage, shallow to deep, the group of each task.
    """

    def __init__(self, encoder: Encoder, task_count: int, tree: Tree = ()) -> None:
        """Start as one encoder, or as the tree `tree`.

        Args:
            encoder: The network's own encoder, which is the first group's of every stage.
            task_count: Number of tasks T.
            tree: For each stage the group of each task; empty for one group everywhere.

        Raises:
            ConfigError: The encoder's stages cannot be run one at a time, there are too many
                tasks, or `tree` is no tree of these stages and tasks.
        """
        super().__init__(task_count)
        if task_count > MOST_TASKS:
            raise ConfigError(
                f"`sharing.name` = 'adaptive' compares all groupings of at most {MOST_TASKS} "
                f"tasks. Found {task_count}."
            )
        count = len(encoder.stages())
        if len(tree) not in (0, count):
            raise ConfigError(
                f"`sharing.tree` should give groups for each of {count} stages. Found {len(tree)}."
            )
        self.tree: Tree = ((0,) * task_count,) * count
        # For each stage, the modules of the groups after the first, which uses the encoder's own.
        self.others = nn.ModuleList(nn.ModuleList() for _ in range(count))
        for stage in reversed(range(len(tree))):
            if tree[stage] != self.tree[stage]:
                self.split(encoder, stage, tree[stage])

    def train(self, mode: bool = True) -> AdaptiveSharing:
        """Switch to training mode, except batch normalisation, which keeps its statistics."""
        super().train(mode)
        hold_batch_norms(self)
        return self

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return each task's features, from its branch of the tree."""
        by_task: list[list[Tensor]] = [[] for _ in range(self.task_count)]
        measured = []
        before, features = (0,) * self.task_count, [images]
        for groups, modules in zip(self.tree, self._modules_of(encoder), strict=True):
            features = [
                module(features[before[groups.index(group)]])
                for group, module in enumerate(modules)
            ]
            before = groups
            read = for_heads(features) if self.training else features
            for task, group in enumerate(groups):
                by_task[task].append(read[group])
            measured.append(tuple(read))
        return SharedFeatures(tuple(by_task), tuple(measured))

    def split(self, encoder: Encoder, stage: int, groups: tuple[int, ...]) -> list[Copied]:
        """Split a stage that all tasks share; its outputs stay the same at first.

        Args:
            encoder: The network's own encoder.
            stage: Number of the stage; it is the deepest one, or the stages above are split.
            groups: The group of each task, each made of whole groups of the stage above.

        Returns:
            The modules that were copied: one copy for each group after the first.

        Raises:
            ConfigError: The groups are not allowed, or the stage is already split.
        """
        above = self.tree[stage + 1] if stage + 1 < len(self.tree) else range(self.task_count)
        is_tree = len(groups) == self.task_count and len(set(zip(above, groups, strict=True))) == (
            len(set(above))
        )
        if not is_tree or not _are_numbered(groups) or any(self.tree[stage]):
            raise ConfigError(
                "Groups of tasks should be numbered as they first appear, be made of whole groups "
                f"of the next deeper stage, {list(above)}, and be given to a stage once. Found "
                f"{list(groups)} for stage {stage}, which has {list(self.tree[stage])}."
            )
        source = encoder.stages()[stage]
        copies = [copy.deepcopy(source) for _ in range(max(groups))]
        self.others[stage] = nn.ModuleList(copies)
        self.tree = (*self.tree[:stage], groups, *self.tree[stage + 1 :])
        return [Copied(source, made) for made in copies]

    def encoder_parameters(self, encoder: Encoder) -> list[nn.Parameter]:
        """Return the trained parameters of all groups' stages."""
        both = (*encoder.parameters(), *self.others.parameters())
        return [p for p in both if p.requires_grad]

    def last_layers(self, encoder: Encoder, stage: int) -> list[nn.Parameter]:
        """Return the last trained weight on the way to each group's feature of a stage."""
        modules = list(self._modules_of(encoder))
        found = []
        for group in range(max(self.tree[stage]) + 1):
            task = self.tree[stage].index(group)
            way = [modules[s][self.tree[s][task]] for s in range(stage + 1)]
            weights = [p for m in way for p in m.parameters() if p.requires_grad and p.ndim > 1]
            found += weights[-1:]
        return list(dict.fromkeys(found))

    def describe(self) -> dict[str, object]:
        """Return the tree: for each stage its groups, as lists of task numbers."""
        return {"tree": [to_lists(groups) for groups in self.tree]}

    def _modules_of(self, encoder: Encoder) -> Iterator[list[nn.Module]]:
        """Yield the modules of each stage's groups."""
        for own, others in zip(encoder.stages(), self.others, strict=True):
            assert isinstance(others, nn.ModuleList)  # noqa: S101
            yield [own, *others]


def to_lists(groups: tuple[int, ...]) -> list[list[int]]:
    """Return the tasks of each group."""
    return [[t for t, own in enumerate(groups) if own == g] for g in range(max(groups) + 1)]


def _are_numbered(groups: tuple[int, ...]) -> bool:
    """Return whether group numbers start at 0 and first appear in order."""
    return list(dict.fromkeys(groups)) == list(range(len(set(groups))))


@dataclass(frozen=True, kw_only=True)
class AdaptiveOptions(SharingOptions):
    """`sharing.name = "adaptive"`.

    Attributes:
        splits: Epochs after which a stage may be split, deepest first; (): evenly in the first half
            of the run, one for each trained stage.
        max_groups: Most groups that a stage may be split into.
        branching: How readily a stage is split, see `affinity.choose_groups`.
        tree: Tree at the start: for each stage the group of each task; empty for one group
            everywhere. In a checkpoint it is the tree at the end.
    """

    name: Literal["adaptive"] = "adaptive"
    splits: tuple[int, ...] = ()
    max_groups: int = 2
    branching: float = 4.0
    tree: Tree = ()

    def __post_init__(self) -> None:
        require(
            list(self.splits) == sorted(set(self.splits)) and min(self.splits, default=1) >= 1,
            "splits",
            "rising numbers of epochs from 1 on",
            list(self.splits),
        )
        require(self.max_groups >= 1, "max_groups", ">= 1", self.max_groups)
        require(self.branching >= 0, "branching", ">= 0", self.branching)

    @property
    def growth(self) -> GrowthPlan:
        """When stages are split, and how readily."""
        return GrowthPlan(self.splits, self.max_groups, self.branching)

    def build(self, encoder: Encoder, task_count: int) -> Sharing:
        """Return the scheme."""
        return AdaptiveSharing(encoder, task_count, self.tree)
