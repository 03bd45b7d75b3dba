"""The optimiser: learning rates of each branch, their schedule, and weight decay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from saliency.model import SaliencyNetwork
from saliency.training.config import TrainConfig
from saliency.training.encoder_rates import encoder_branches
from saliency.weighting import TaskWeighting


def build_optimizer(
    network: SaliencyNetwork,
    weighting: TaskWeighting,
    config: TrainConfig,
    sharing_lr: float = 1e-2,
) -> torch.optim.AdamW:
    """Return AdamW with one learning rate per branch.

    The branches are: the encoder or encoders (see `encoder_branches`), the layers that mix their
    features, the saliency branch (decoder and priors), the aesthetic branch, the attributes' heads,
    and the weighting's own parameters (log-variances). The layers that state errors are a branch of
    their own, with the aesthetic branch's rate, so that their gradient does not affect the clipping
    of others. Weight decay applies only to matrices and filters: shrinking a bias, a normalisation
    or a log-variance regularises nothing, and layers that mix features should not fade.

    Args:
        network: The network in training.
        weighting: The strategy that weights the tasks.
        config: Learning rates and decay.
        sharing_lr: Learning rate of the layers that mix the tasks' features.
    """
    errors = network.error_parameters()
    branches: list[tuple[str, list[nn.Parameter], float]] = [
        *encoder_branches(network, config),
        ("saliency", _trained(network.decoder, network.priors), config.saliency_lr),
        ("aesthetics", _trained(network.aesthetics, but=errors), config.aesthetic_lr),
        ("attributes", _trained(network.attributes, but=errors), config.aesthetic_lr),
        ("errors", errors, config.aesthetic_lr),
    ]
    groups: list[dict[str, object]] = []
    for name, parameters, lr in branches:
        decayed = [p for p in parameters if p.ndim > 1 and not _is_prior(p, network)]
        plain = [p for p in parameters if p.ndim <= 1 or _is_prior(p, network)]
        for members, decay in ((decayed, config.weight_decay), (plain, 0.0)):
            if members and lr > 0:
                groups.append(
                    {
                        "name": name,
                        "params": members,
                        "weight_decay": decay,
                        "lr": lr,
                        "peak_lr": lr,
                    }
                )
    for name, own, lr in (
        ("sharing", network.sharing.mixing_parameters(), sharing_lr),
        ("weighting", list(weighting.parameters()), config.weighting_lr),
    ):
        if own:
            groups.append(
                {"name": name, "params": own, "weight_decay": 0.0, "lr": lr, "peak_lr": lr}
            )
    return torch.optim.AdamW(groups)


def trained_parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return the network's parameters that `optimizer` trains, not the weighting's own."""
    groups = [group for group in optimizer.param_groups if group["name"] != "weighting"]
    return [parameter for group in groups for parameter in group["params"]]


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float) -> dict[str, float]:
    """Clip the gradient norm of each branch separately; return the norms before clipping.

    With one norm over all branches, the largest (the score read-out, on standardised features)
    would decide how much the others learn. The weighting's gradients are not clipped.
    """
    branches: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        if group["name"] != "weighting":
            branches.setdefault(group["name"], []).extend(group["params"])
    return {
        name: float(torch.nn.utils.clip_grad_norm_(parameters, max_norm))
        for name, parameters in branches.items()
    }


def lr_factor(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return the factor on the peak learning rates: linear warm-up, then half a cosine.

    Args:
        step: Number of the step, counted from 0.
        total_steps: Steps of the whole run.
        warmup_steps: Steps of the warm-up, at most a fifth of the run.

    Returns:
        In (0, 1].
    """
    warmup_steps = min(warmup_steps, total_steps // 5)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return max(1e-3, 0.5 * (1 + math.cos(math.pi * progress)))


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's peak learning rate, except the weighting's, which must follow losses."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * (1.0 if group["name"] == "weighting" else factor)


def _trained(*modules: nn.Module | None, but: Sequence[nn.Parameter] = ()) -> list[nn.Parameter]:
    left_out = {id(parameter) for parameter in but}
    found = [p for m in modules if m is not None for p in m.parameters() if p.requires_grad]
    return [p for p in found if id(p) not in left_out]


def _is_prior(parameter: nn.Parameter, network: SaliencyNetwork) -> bool:
    """Return whether `parameter` belongs to the priors' shared values, which are not decayed."""
    return network.priors is not None and parameter is network.priors.center_bias
