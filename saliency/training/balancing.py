"""Measurements of a run that weighting strategies ask for: gradients, constant losses, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from saliency.errors import ConfigError
from saliency.evaluation import SetResult
from saliency.model import SaliencyNetwork
from saliency.tasks import AttributeTask, Task, mean_task_losses
from saliency.types import Batch, Output
from saliency.weighting import AddUp, Shared, alone, gradient_products

TINY = 1e-12
"""Added to mean labels before the logarithm."""


def shared_tensors(
    network: SaliencyNetwork, needs: Shared, outputs: Sequence[Output] = ()
) -> tuple[Tensor, ...]:
    """Return the tensors at which a strategy takes gradients; empty if there are none.

    With more than one encoder the sharing scheme says which tensors these are.

    Args:
        network: The network in training.
        needs: `TaskWeighting.needs` of the strategy.
        outputs: The network's outputs in this step; none if other processes have all images.
    """
    match needs:
        case "nothing":
            return ()
        case "features":
            if not outputs:  # any tensor will do: no loss depends on it
                device = next(network.parameters()).device
                return (torch.zeros(1, device=device, requires_grad=True),)
            return tuple(feature for output in outputs for feature in output.features)
        case "last_layer":
            return network.last_shared_layers()
        case "parameters":
            return tuple(network.sharing.encoder_parameters(network.encoder))


def check_gradients(
    network: SaliencyNetwork, strategy: str, needs: Shared, rated_gradient: float
) -> None:
    """Refuse a strategy that uses gradients if there are none.

    Raises:
        ConfigError: The encoder is not trained, or scores do not train it.
    """
    if needs != "nothing" and not (network.last_shared_layers() and rated_gradient):
        trained = len(network.sharing.encoder_parameters(network.encoder))
        raise ConfigError(
            f"`weighting.name` = {strategy!r} needs gradients of each task in the encoder: "
            "train some of its layers, and set model.aesthetic_gradient and "
            f"model.attribute_gradient > 0. Found {trained} trained parameters and "
            f"{rated_gradient}."
        )


def gradient_cosines(
    tasks: Sequence[Task],
    losses: Sequence[Tensor],
    present: Sequence[bool],
    shared: Sequence[Tensor],
    add_up: AddUp = alone,
) -> dict[str, float]:
    """Return the cosine between the gradients of each two present tasks; below 0 they conflict.

    Keys are `cosine/one~other`. A gradient of 0 has cosine 0 with everything. `add_up` sums
    gradients over processes.
    """
    if sum(present) < 2 or not shared:
        return {}
    products = gradient_products(losses, present, shared, add_up).double()
    norms = products.diagonal().sqrt().clamp(min=TINY)
    cosines = products / norms.outer(norms)
    return {
        f"cosine/{tasks[i].name}~{tasks[j].name}": float(cosines[i, j])
        for i in range(len(tasks))
        for j in range(i + 1, len(tasks))
        if present[i] and present[j]
    }


@torch.no_grad()
def mean_losses(
    tasks: tuple[Task, ...], predict: Callable[[Batch], Output], batches: Iterable[Batch]
) -> list[float]:
    """Return each task's mean loss over all images with its label; nan if there are none."""
    sums, counts = [0.0] * len(tasks), [0] * len(tasks)
    for batch in batches:
        losses, _ = mean_task_losses(tasks, predict(batch), batch)
        for k, (task, loss) in enumerate(zip(tasks, losses, strict=True)):
            count = int(task.present(batch).sum())
            sums[k] += float(loss) * count
            counts[k] += count
    return [
        total / count if count else float("nan") for total, count in zip(sums, counts, strict=True)
    ]


def constant_losses(
    tasks: tuple[Task, ...], batches: Iterable[Batch], auxiliary: bool
) -> list[float]:
    """Return each task's loss if every image were given the mean label.

    Args:
        tasks: The tasks of the run.
        batches: Training images; they are iterated twice.
        auxiliary: Whether the network has auxiliary outputs, which are then constant too.
    """
    densities: Tensor | float = 0.0
    distributions: Tensor | float = 0.0
    attributes: list[Tensor] = []
    for batch in batches:  # rows without a label hold zeros
        densities = densities + batch.density.double().sum(dim=0)
        distributions = distributions + batch.score_distribution.double().sum(dim=0)
        if batch.attributes.shape[1]:
            attributes.append(batch.attributes)
    attribute_tasks = [task for task in tasks if isinstance(task, AttributeTask)]
    constants = [task.constant(torch.cat(attributes)) for task in attribute_tasks]
    errors = [task.constant_log_variance(torch.cat(attributes)) for task in attribute_tasks]

    def log_mean(sums: Tensor | float, like: Tensor) -> Tensor:
        """Return the logarithm of `sums`, scaled to sum to 1, for each row of `like`."""
        sums = torch.as_tensor(sums)
        mean = sums / sums.sum().clamp(min=TINY) + TINY
        return (mean / mean.sum()).log().float().expand_as(like)

    def predict(batch: Batch) -> Output:
        log_density = log_mean(densities, batch.density)
        return Output(
            log_density,
            log_mean(distributions, batch.score_distribution),
            (log_density,) if auxiliary else (),
            attributes=tuple(c.expand(len(batch.images), *c.shape) for c in constants),
            attribute_log_variances=tuple(
                None if error is None else error.expand(len(batch.images)) for error in errors
            ),
        )

    return mean_losses(tasks, predict, batches)


def indicators(tasks: Sequence[Task], results: Sequence[SetResult]) -> list[float]:
    """Return each task's indicator, mean over the sets that have it; nan if none has."""
    found = []
    for task in tasks:
        values = [r.measures[task.indicator].value for r in results if task.indicator in r.measures]
        found.append(sum(values) / len(values) if values else float("nan"))
    return found
