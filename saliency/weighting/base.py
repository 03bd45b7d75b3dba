"""The interface of all weighting strategies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency.errors import ConfigError
from saliency.tasks import Task

Gradients = Literal["features", "last_layer", "parameters"]
"""Where gradients are measured: at the encoder's outputs, at the weight of the last layer that all
tasks share, or at all parameters of the encoder."""

Shared = Literal["nothing"] | Gradients
"""Where a strategy measures gradients, if it uses them."""

EPS = 1e-8
"""Lower bound of losses and gradient norms that are divisors."""

AddUp = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Sums tensors over the processes that share a batch."""


def alone(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return `tensors` as they are: the sum over a single process."""
    return tensors


class TaskWeighting(nn.Module):
    """Combines one loss per task into one scalar, `sum_k w_k L_k`.

    A strategy returns its weights in `weigh`. Some also override `start`, `hear_answers`,
    `after_step`, `end_epoch` or `observe`, which training calls and which do nothing by default.
    Strategies are modules, so that learned weights are parameters, running statistics are buffers,
    and both are saved and resumed with `state_dict`. K is the number of tasks.

    A task without labels in a batch is absent: its loss is not used, its state is not changed, and
    its weight stays what it was. An optimiser with momentum also moves parameters that had no
    gradient; `after_step` undoes that.

    If weights are computed for each batch (`mgda`, `lbtw`, `uwso`), those of the n present tasks
    sum to n/K of the sum over all K tasks, so that a single present task has no stronger influence
    than it has among others. If weights carry over from batch to batch (`dwa`, `gradnorm`), each
    task keeps the weight that it has among all K, whichever tasks are absent. Other strategies'
    weights have no fixed sum.

    Weights are float32 without a graph, whatever the losses are. Several calls may share one step;
    each is weighted by its own losses and gradients.

    Several processes may share a batch. Each then passes the losses of the whole batch, with the
    gradients of its own images, and sets `add_up`. All compute with the same sums and get the same
    weights up to rounding, which the solver of `mgda` magnifies to as much as 1e-3 with three or
    more tasks.

    Attributes:
        needs: Which tensors `forward` needs as `shared`.
        needs_answers: Whether `hear_answers` is to be called.
        current: (K,) weights of the last call.
        add_up: Sums gradients over processes; for a single process it changes nothing.
    """

    needs: Shared = "nothing"
    needs_answers: bool = False
    current: Tensor

    def __init__(self, task_count: int, *, remember: bool = True) -> None:
        """Start with weights of 1.

        Args:
            task_count: K.
            remember: Whether `current` is saved; False if other saved values determine it.
        """
        super().__init__()
        self.add_up: AddUp = alone
        self.register_buffer("current", torch.ones(task_count), persistent=remember)

    @property
    def normalized(self) -> Tensor:
        """(K,) weights of the last call, rescaled to sum K, for comparing strategies."""
        return self.current * len(self.current) / self.current.sum()

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the scalar to minimise.

        Args:
            losses: K scalars >= 0, one per task.
            present: K flags; an absent task's loss is not used.
            shared: Tensors that all tasks' losses come from, as `needs` says.

        Returns:
            Scalar with a gradient to every present loss; 0 if no task is present.

        Raises:
            ValueError: The number of losses or of flags is not K.
        """
        if not len(losses) == len(present) == len(self.current):
            raise ValueError(
                f"`losses` and `present` should have one entry for each of {len(self.current)} "
                f"tasks. Found {len(losses)} and {len(present)}."
            )
        if any(present):
            with torch.no_grad():
                weights = self.weigh(losses, present, shared)
                here = torch.tensor(present, device=self.current.device)
                self.current = torch.where(here, weights, self.current)
        total = losses[0].new_zeros(())
        for loss, weight, here_too in zip(losses, self.current, present, strict=True):
            if here_too:
                total = total + weight * loss
        return total

    def weigh(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return (K,) float32 weights; entries of absent tasks are not used.

        Called without gradients and with at least one task present; arguments as in `forward`.
        """
        raise NotImplementedError

    def products(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor]
    ) -> Tensor:
        """Return `gradient_products` over the images of all processes."""
        if self.needs == "features":  # each process has those of its own images
            return self.add_up([gradient_products(losses, present, shared)])[0]
        return gradient_products(losses, present, shared, self.add_up)

    def start(self, constant_losses: Callable[[], Sequence[float]]) -> None:
        """Take, before the first step, a way to measure the losses of constant predictions.

        Args:
            constant_losses: Returns K losses; it is slow, so call it only if it is needed.
        """

    def hear_answers(self, floors: Sequence[float], counts: Sequence[int]) -> None:
        """Take, before `forward`, what people's answers in this batch are like.

        Args:
            floors: Each task's mean floor (see `Task.floors`).
            counts: Each task's number of labelled images.
        """

    def after_step(self) -> None:
        """React to a step of the optimiser, and undo changes that it should not have made."""

    def end_epoch(self, mean_losses: Sequence[float]) -> None:
        """Take each task's mean training loss over an epoch; nan for a task without labels."""

    def observe(self, indicators: Sequence[float]) -> None:
        """Take how good each task is on validation images; 1 is perfect, nan is unknown."""

    def values(self, losses: Sequence[Tensor], present: Sequence[bool]) -> Tensor:
        """Return (K,) float32 losses without a graph, nan for absent tasks."""
        absent = torch.full((), float("nan"), device=self.current.device)
        return torch.stack(
            [
                loss.detach().to(absent) if here else absent
                for loss, here in zip(losses, present, strict=True)
            ]
        )


@dataclass(frozen=True, kw_only=True)
class WeightingOptions:
    """The options of a strategy in a recipe's table `weighting`; each strategy has its own class.

    Attributes:
        name: Name of the strategy: a literal, which is also the name of its file.
        normalize: Whether the weights are rescaled to sum K; gradient clipping depends on scale.
    """

    name: str = ""
    normalize: bool = False

    def build(self, tasks: Sequence[Task]) -> TaskWeighting:
        """Return the strategy.

        Args:
            tasks: The tasks of the run, in the order of the losses.

        Raises:
            ConfigError: An option names other tasks than these.
        """
        raise NotImplementedError


def of_each_task(option: str, by_task: Mapping[str, float], tasks: Sequence[Task]) -> list[float]:
    """Return an option's number for each task, in the tasks' order.

    Raises:
        ConfigError: The option does not have one number >= 0 for each task.
    """
    names = [task.name for task in tasks]
    if sorted(by_task) != sorted(names) or min(by_task.values()) < 0:
        raise ConfigError(
            f"`weighting.{option}` should give one number >= 0 for each of {names}. "
            f"Found {dict(by_task)}."
        )
    return [by_task[name] for name in names]


def gradient_products(
    losses: Sequence[Tensor],
    present: Sequence[bool],
    shared: Sequence[Tensor],
    add_up: AddUp = alone,
) -> Tensor:
    """Return the inner products of the tasks' gradients at shared tensors.

    The graph is kept, so that the weighted sum can be differentiated. At the encoder's outputs or
    its last layer this costs a backward pass of the heads, at all parameters one of the network.

    Args:
        losses: K scalars, one a task.
        present: K flags.
        shared: Tensors that require gradients; one that a loss does not depend on counts as 0.
        add_up: Sums each task's gradients over processes, of which each has a part. Products must
            be taken after that: the product of sums is not the sum of products.

    Returns:
        (K, K) float32, squared gradient norms on the diagonal; nan for absent tasks.

    Raises:
        ValueError: There are no shared tensors.
    """
    if not shared:
        raise ValueError("`shared` should hold tensors to take gradients at. Found none.")
    products = torch.full((len(losses), len(losses)), float("nan"), device=shared[0].device)
    gradients = {
        task: add_up([gradient.float() for gradient in _gradients(loss, shared)])
        for task, (loss, here) in enumerate(zip(losses, present, strict=True))
        if here
    }
    for one, left in gradients.items():
        for other, right in gradients.items():
            if one <= other:
                product = sum((a * b).sum() for a, b in zip(left, right, strict=True))
                products[one, other] = products[other, one] = product
    return products


def _gradients(loss: Tensor, shared: Sequence[Tensor]) -> Sequence[Tensor]:
    if not loss.requires_grad:  # only other processes have images of this task
        return [torch.zeros_like(tensor) for tensor in shared]
    return torch.autograd.grad(loss, shared, retain_graph=True, materialize_grads=True)
