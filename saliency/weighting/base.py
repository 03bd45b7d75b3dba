"""The one interface of all weighting strategies."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Shared = Literal["nothing", "features", "last_layer", "parameters"]
"""Where a strategy looks at gradients: nowhere, at the encoder's outputs, at the weight of the last
layer that all tasks share, or at all parameters of the encoder."""

EPS = 1e-8
"""What losses and gradient norms are at least where something is divided by them."""

AddUp = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Sums tensors over the processes that share a batch."""


def alone(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return `tensors` as they are: the sum over a single process."""
    return tensors


class TaskWeighting(nn.Module):
    """Combine one loss a task into one scalar, `sum_k w_k L_k`.

    A strategy says in `weigh` what its weights are; some also listen to `start`, `end_epoch` or
    `observe`, which the training loop calls and which do nothing by default. Strategies are
    modules so that learned weights are parameters, running statistics are buffers, and both are
    saved and resumed with `state_dict`. K is the number of tasks.

    A task without labels in a batch is absent: its loss is not used, its state is not touched, and
    its weight stays what it was. Strategies whose weights share a fixed sum give the n present
    tasks n/K of it, so that a lone task pulls no harder than it does among others.

    Weights are float32 without a graph, whatever the losses are. Several calls may share one step;
    each is weighted by its own losses and gradients.

    Several processes may share a batch. Each then gives the losses of the whole batch, with the
    gradients of its own images, and sets `add_up`; all arrive at the same weights.

    Attributes:
        needs: What `forward` wants as `shared`.
        current: (K,) weights of the last call.
        add_up: How gradients are summed over processes; for a single one there is nothing to do.
    """

    needs: Shared = "nothing"
    current: Tensor

    def __init__(self, task_count: int, *, remember: bool = True) -> None:
        """Start with weights of 1.

        Args:
            task_count: K.
            remember: Whether `current` is saved; not where something else that is saved gives it.
        """
        super().__init__()
        self.add_up: AddUp = alone
        self.register_buffer("current", torch.ones(task_count), persistent=remember)

    @property
    def normalized(self) -> Tensor:
        """(K,) weights of the last call, rescaled to sum K: what strategies are compared by."""
        return self.current * len(self.current) / self.current.sum()

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the scalar to minimise.

        Args:
            losses: K scalars >= 0, one a task.
            present: K flags; an absent task's loss is not used.
            shared: Tensors that all tasks' losses come from, as `needs` says.

        Returns:
            Scalar with a gradient to every present loss; 0 if no task is present.

        Raises:
            ValueError: There are not K losses and K flags.
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
        """Hear, before the first step, how to measure each task's best constant prediction.

        Args:
            constant_losses: Returns K losses; slow, so it is called only if it is needed.
        """

    def end_epoch(self, mean_losses: Sequence[float]) -> None:
        """Hear each task's mean training loss over an epoch, nan if it had no labels in it."""

    def observe(self, indicators: Sequence[float]) -> None:
        """Hear how good each task is on validation images, 1 is perfect, nan is unknown."""

    def values(self, losses: Sequence[Tensor], present: Sequence[bool]) -> Tensor:
        """Return (K,) float32 losses without a graph, nan for absent tasks."""
        absent = torch.full((), float("nan"), device=self.current.device)
        return torch.stack(
            [
                loss.detach().to(absent) if here else absent
                for loss, here in zip(losses, present, strict=True)
            ]
        )


def gradient_products(
    losses: Sequence[Tensor],
    present: Sequence[bool],
    shared: Sequence[Tensor],
    add_up: AddUp = alone,
) -> Tensor:
    """Return the inner products of the tasks' gradients at shared tensors.

    The graph stays, so that the weighted sum can go back through it. At the encoder's outputs or
    its last layer this costs a backward pass of the heads, at all parameters one of everything.

    Args:
        losses: K scalars, one a task.
        present: K flags.
        shared: Tensors that require gradients; one that a loss does not depend on counts as 0.
        add_up: Sums each task's gradients over processes, of which each has a part. The product
            of sums is not the sum of products.

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
