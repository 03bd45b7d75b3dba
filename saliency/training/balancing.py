"""What a weighting strategy hears from a run: shared tensors, constant losses, indicators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from saliency.errors import ConfigError
from saliency.evaluation import SetResult
from saliency.model import SaliencyNetwork
from saliency.tasks import AttributeTask, Task, mean_task_losses
from saliency.training.config import WeightingConfig
from saliency.types import Batch, Output
from saliency.weighting import (
    AddUp,
    DtpWeighting,
    DwaWeighting,
    EqualWeighting,
    FixedWeighting,
    GradientWeighting,
    GradNormWeighting,
    InitialWeighting,
    LbtwWeighting,
    MgdaWeighting,
    PriorWeighting,
    RealtimeWeighting,
    Shared,
    TaskWeighting,
    UncertaintyWeighting,
    alone,
    gradient_products,
)

TINY = 1e-12
"""Added to mean labels before the logarithm."""


def build_weighting(config: WeightingConfig, tasks: Sequence[Task]) -> TaskWeighting:
    """Return the strategy that `config` names.

    Args:
        config: The strategy and its options.
        tasks: What is learned, in the order of the losses.

    Raises:
        ConfigError: An option gives values for other tasks than these.
    """
    count = len(tasks)
    match config.name:
        case "fixed":
            return FixedWeighting(_of_each_task("fixed", config.fixed or {}, tasks))
        case "equal":
            return EqualWeighting(count)
        case "initial":
            return InitialWeighting(count, config.initial_batches)
        case "prior":
            return PriorWeighting(count)
        case "realtime":
            return RealtimeWeighting(count)
        case "gradient":
            return GradientWeighting(count, config.shared or "features")
        case "uncertainty":
            return UncertaintyWeighting([task.likelihood for task in tasks])
        case "gradnorm":
            needs = config.shared or "last_layer"
            return GradNormWeighting(count, needs, config.gradnorm_alpha, config.initial_batches)
        case "dwa":
            return DwaWeighting(count, config.dwa_temperature)
        case "mgda":
            return MgdaWeighting(count, config.shared or "features", config.mgda_normalization)
        case "dtp":
            gamma = config.dtp_gamma
            by_task = gamma if isinstance(gamma, dict) else {t.name: gamma for t in tasks}
            return DtpWeighting(_of_each_task("dtp_gamma", by_task, tasks), config.dtp_smoothing)
        case "lbtw":
            return LbtwWeighting(count, config.lbtw_alpha)


def _of_each_task(key: str, by_task: dict[str, float], tasks: Sequence[Task]) -> list[float]:
    names = [task.name for task in tasks]
    if sorted(by_task) != sorted(names) or min(by_task.values()) < 0:
        raise ConfigError(
            f"`weighting.{key}` should give one number >= 0 for each of {names}. Found {by_task}."
        )
    return [by_task[name] for name in names]


class SharedTensors:
    """Where the tasks meet: the encoder's outputs, its last layer, all of it.

    Each sharing scheme says what that is where there is more than one encoder.
    """

    def __init__(self, network: SaliencyNetwork) -> None:
        self._parameters = tuple(network.sharing.encoder_parameters(network.encoder))
        self._last_layers = network.last_shared_layers()

    def of(self, needs: Shared, *outputs: Output) -> tuple[Tensor, ...]:
        """Return what a strategy that `needs` it takes gradients at; empty if there is nothing.

        Args:
            needs: As the strategy says.
            outputs: Of the images of a step; none if other processes have them all.
        """
        match needs:
            case "nothing":
                return ()
            case "features":
                if not outputs:  # something that no loss depends on
                    device = self._parameters[0].device
                    return (torch.zeros(1, device=device, requires_grad=True),)
                return tuple(feature for output in outputs for feature in output.features)
            case "last_layer":
                return self._last_layers
            case "parameters":
                return self._parameters

    def check(self, config: WeightingConfig, needs: Shared, rated_gradient: float) -> None:
        """Refuse a strategy that looks at gradients where there are none.

        Raises:
            ConfigError: The encoder is not trained, or scores do not train it.
        """
        if needs != "nothing" and not (self._last_layers and rated_gradient):
            raise ConfigError(
                f"`weighting.name` = {config.name!r} needs gradients of each task in the encoder: "
                "train some of its layers, and set model.aesthetic_gradient and "
                "model.attribute_gradient > 0. "
                f"Found {len(self._parameters)} trained parameters and {rated_gradient}."
            )


def gradient_cosines(
    tasks: Sequence[Task],
    losses: Sequence[Tensor],
    present: Sequence[bool],
    shared: Sequence[Tensor],
    add_up: AddUp = alone,
) -> dict[str, float]:
    """Return the cosine between each two present tasks' gradients; below 0 they are at odds.

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
        tasks: What is learned.
        batches: Training images, gone through twice.
        auxiliary: Whether the network has auxiliary outputs, which then are constant too.
    """
    densities: Tensor | float = 0.0
    distributions: Tensor | float = 0.0
    attributes: list[Tensor] = []
    for batch in batches:  # rows without a label hold zeros
        densities = densities + batch.density.double().sum(dim=0)
        distributions = distributions + batch.score_distribution.double().sum(dim=0)
        if batch.attributes.shape[1]:
            attributes.append(batch.attributes)
    told = [task for task in tasks if isinstance(task, AttributeTask)]
    constants = [task.constant(torch.cat(attributes)) for task in told]
    errors = [task.constant_log_variance(torch.cat(attributes)) for task in told]

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
