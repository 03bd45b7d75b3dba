"""Learning rates of an encoder's layers."""

from __future__ import annotations

from torch import nn

from saliency.model import SaliencyNetwork
from saliency.training.config import TrainConfig


def encoder_branches(
    network: SaliencyNetwork, config: TrainConfig
) -> list[tuple[str, list[nn.Parameter], float]]:
    """Return the trained parts of the encoders: name of the branch, parameters, learning rate.

    Pretrained layers learn with `encoder_lr`, times `layer_decay` for every layer that follows
    them: deeper layers have more to change. Parts that start at random (the pyramid of a plain
    transformer) are a branch of their own and learn at the decoder's rate.

    Source:
        Clark et al., "ELECTRA: pre-training text encoders as discriminators rather than
        generators" (2020), for the decay; Bao et al., "BEiT" (2022), in vision.
    """
    own = network.encoder
    lr = own.learning_rate if config.encoder_lr is None else config.encoder_lr
    decay = own.layer_decay if config.layer_decay is None else config.layer_decay
    rates: dict[int, float] = {}
    fresh: set[int] = set()
    for encoder in network.sharing.encoders(own):
        fresh |= {id(parameter) for parameter in encoder.fresh_parameters()}
        layers = encoder.layers() if decay < 1 else []
        for behind, layer in enumerate(reversed(layers)):
            rates |= {id(parameter): lr * decay**behind for parameter in layer}
    by_rate: dict[float, list[nn.Parameter]] = {}
    pyramid = []
    for parameter in network.sharing.encoder_parameters(own):
        if id(parameter) in fresh:
            pyramid.append(parameter)
        else:
            by_rate.setdefault(rates.get(id(parameter), lr), []).append(parameter)
    return [
        *(("encoder", parameters, rate) for rate, parameters in by_rate.items()),
        ("pyramid", pyramid, config.saliency_lr),
    ]
