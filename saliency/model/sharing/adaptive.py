"""Fully-adaptive sharing: a tree of stages that branches, from the top, while it is trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.model.encoder import Encoder, hold_batch_norms
from saliency.model.sharing.affinity import MOST_TASKS
from saliency.model.sharing.base import SharedFeatures, Sharing, for_heads

Tree = tuple[tuple[int, ...], ...]
"""For each encoder stage, shallow to deep, the group of each task."""


class Copied(NamedTuple):
    """A stage of the encoder and what starts as its copy."""

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
    each group's own, and the last layers one a group. Tasks that a stage has parted are at right
    angles there and meet in what is still shared.

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
        """Start as one encoder, or as the tree that `tree` says.

        Args:
            encoder: The network's own, which is the first group's of every stage.
            task_count: T.
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
                f"`sharing_tree` should give groups for each of {count} stages. Found {len(tree)}."
            )
        self.tree: Tree = ((0,) * task_count,) * count
        # Of each stage, what the groups after the first have instead of the encoder's own.
        self.others = nn.ModuleList(nn.ModuleList() for _ in range(count))
        for stage in reversed(range(len(tree))):
            if tree[stage] != self.tree[stage]:
                self.split(encoder, stage, tree[stage])

    def train(self, mode: bool = True) -> AdaptiveSharing:
        """Switch to training, all but the batch normalisation, which keeps its statistics."""
        super().train(mode)
        hold_batch_norms(self)
        return self

    def forward(self, encoder: Encoder, images: Tensor) -> SharedFeatures:
        """Return each task's features, from its branch of the tree."""
        by_task: list[list[Tensor]] = [[] for _ in range(self.task_count)]
        met = []
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
            met.append(tuple(read))
        return SharedFeatures(tuple(by_task), tuple(met))

    def split(self, encoder: Encoder, stage: int, groups: tuple[int, ...]) -> list[Copied]:
        """Split a stage that is shared by all; what it computes stays the same at first.

        Args:
            encoder: The network's own.
            stage: The stages above are split, or it is the deepest one.
            groups: The group of each task, each made of whole groups of the stage above.

        Returns:
            What was copied: one copy for each group after the first.

        Raises:
            ConfigError: The groups are no such groups, or the stage is split already.
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
