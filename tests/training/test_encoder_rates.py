"""Deep layers of a pretrained encoder learn faster; random layers learn at the decoder's rate."""

import pytest

from saliency.errors import ConfigError
from saliency.model import Architecture, SaliencyNetwork
from saliency.training.config import TrainConfig
from saliency.training.encoder_rates import encoder_branches


def network(encoder: str = "test_vit", tuning: str = "full") -> SaliencyNetwork:
    # Cut into stages where it has them: timm numbers the layers of whole networks alone.
    whole = encoder == "test_vit"
    network = SaliencyNetwork(Architecture(encoder, decoder_channels=16, final_features=whole))
    network.encoder.tune(tuning, 2)
    return network


def rates(network: SaliencyNetwork, **given: float) -> dict[str, float]:
    """Return the learning rate of each trained parameter of the encoder, by name."""
    branches = encoder_branches(network, TrainConfig(**given))
    by_id = {id(p): rate for _, parameters, rate in branches for p in parameters}
    trained = [(n, p) for n, p in network.encoder.named_parameters() if p.requires_grad]
    assert len(by_id) == len(trained)
    return {name: by_id[id(parameter)] for name, parameter in trained}


def test_each_layer_learns_with_a_share_of_what_the_next_does():
    found = rates(network(), encoder_lr=1.0, layer_decay=0.5)
    first, second = (found[f"body.blocks.{number}.mlp.fc1.weight"] for number in (0, 1))
    assert second == 2 * first
    assert found["body.norm.weight"] == 1.0
    assert found["body.patch_embed.proj.weight"] == first / 2


def test_what_starts_at_random_learns_as_the_decoder_does():
    found = rates(network(), encoder_lr=1.0, saliency_lr=0.25)
    fresh = {rate for name, rate in found.items() if not name.startswith("body.")}
    assert fresh == {0.25}


def test_a_frozen_network_leaves_the_pyramid():
    found = rates(network(tuning="frozen"))
    assert found
    assert not any(name.startswith("body.") for name in found)


@pytest.mark.parametrize(
    ("encoder", "tuning", "fastest"),
    [
        ("test_efficientnet", "full", 2e-4),
        ("test_vit", "full", 5e-5),
        ("test_vit", "low_rank", 3e-4),
    ],
)
def test_without_a_rate_in_the_config_it_is_what_suits_the_encoder(encoder, tuning, fastest):
    found = rates(network(encoder, tuning))
    assert max(rate for name, rate in found.items() if name.startswith("body.")) == fastest


def test_a_convolutional_encoder_learns_evenly_unless_told():
    assert set(rates(network("test_efficientnet")).values()) == {2e-4}


def test_a_network_whose_layers_have_no_numbers_is_refused():
    with pytest.raises(ConfigError, match=r"layer_decay.*test_convnext"):
        rates(network("test_convnext"), layer_decay=0.5)
