"""The network: its heads, their connection, and the independence of a batch's rows."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from saliency.errors import ConfigError
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.network import upsample
from saliency.types import SCORE_BINS

TINY = Architecture("test_efficientnet", decoder_channels=16, embedding_features=8)
SALIENCY_ONLY = replace(TINY, aesthetics=False, guidance=False)
AESTHETICS_ONLY = replace(TINY, saliency=False, guidance=False)


def images(count: int = 2, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


def build(architecture: Architecture = TINY) -> SaliencyNetwork:
    """Build a network whose guidance has left the identity."""
    torch.manual_seed(0)
    network = SaliencyNetwork(architecture).eval()
    if network.decoder is not None and architecture.guidance:
        for stage in network.decoder.stages:
            torch.nn.init.normal_(stage.film.modulation.weight)
    return network


def reached_by_the_saliency_loss(network: SaliencyNetwork) -> list[str]:
    """Return the aesthetic head's parameters that a loss on the density alone reaches."""
    network(images()).log_density[:, 20, 30].sum().backward()
    return [name for name, p in network.aesthetics.named_parameters() if p.grad is not None]


def density_after_new_aesthetics(network: SaliencyNetwork) -> tuple[Tensor, Tensor]:
    """Return the density before and after the aesthetic head is replaced by noise."""
    before = network(images()).log_density
    for parameter in network.aesthetics.parameters():
        torch.nn.init.normal_(parameter)
    return before, network(images()).log_density


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (32, 32)])
def test_log_density_has_the_size_of_the_image(size):
    assert build()(images(size=size)).log_density.shape == (2, *size)


def test_the_density_sums_to_1():
    sums = build()(images()).log_density.exp().sum(dim=(1, 2))
    torch.testing.assert_close(sums, torch.ones(2))


def test_score_logits_are_k_a_row():
    assert build()(images()).score_logits.shape == (2, SCORE_BINS)


@pytest.mark.parametrize("encoder", ["test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("final_features", [False, True])
def test_both_encoders_fit_with_and_without_final_features(encoder, final_features):
    network = build(replace(TINY, encoder=encoder, final_features=final_features))
    assert network(images()).log_density.isfinite().all()


def test_saliency_alone_gives_no_score():
    output = build(SALIENCY_ONLY)(images())
    assert output.score_logits is None
    assert output.log_density is not None


def test_aesthetics_alone_give_no_density():
    output = build(AESTHETICS_ONLY)(images())
    assert output.log_density is None
    assert output.score_logits is not None


def test_a_single_task_network_has_no_parameters_of_the_other():
    names = [name for name, _ in build(SALIENCY_ONLY).named_parameters()]
    assert not [name for name in names if "aesthetic" in name or "film" in name]


@pytest.mark.parametrize("row", [0, 1])
def test_a_row_of_a_batch_is_what_it_is_alone(row):
    network = build()
    together, alone = network(images()), network(images()[row : row + 1])
    torch.testing.assert_close(
        together.log_density[row], alone.log_density[0], rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(
        together.score_logits[row], alone.score_logits[0], rtol=1e-5, atol=1e-5
    )


def test_no_dataset_index_is_the_neutral_one():
    network = build(replace(TINY, datasets=("a",)))
    neutral = network(images(), torch.zeros(2, dtype=torch.long)).log_density
    assert torch.equal(network(images()).log_density, neutral)


def test_dataset_index_reaches_the_priors():
    network = build(replace(TINY, datasets=("a",)))
    with torch.no_grad():
        network.priors.log_temperature_offsets.fill_(1.0)
    neutral, own = (
        network(images()).log_density,
        network(images(), torch.ones(2).long()).log_density,
    )
    assert not torch.allclose(neutral, own)


def test_dataset_index_leaves_the_score_alone():
    network = build(replace(TINY, datasets=("a",)))
    with torch.no_grad():
        network.priors.log_temperature_offsets.fill_(1.0)
    own = network(images(), torch.ones(2).long()).score_logits
    assert torch.equal(network(images()).score_logits, own)


def test_guidance_lets_the_aesthetic_head_move_the_density():
    assert not torch.allclose(*density_after_new_aesthetics(build()))


def test_without_guidance_the_aesthetic_head_leaves_the_density_alone():
    network = build(replace(TINY, guidance=False))
    assert torch.equal(*density_after_new_aesthetics(network))


def test_without_guidance_the_decoder_has_nothing_to_modulate():
    names = [name for name, _ in build(replace(TINY, guidance=False)).named_parameters()]
    assert not [name for name in names if "film" in name]


def test_at_the_start_guidance_leaves_the_density_alone():
    network = SaliencyNetwork(TINY).eval()
    assert torch.equal(*density_after_new_aesthetics(network))


def test_guidance_carries_the_saliency_loss_to_the_scores():
    network = build(replace(TINY, stop_guidance_gradient=False))
    assert "logits.weight" in reached_by_the_saliency_loss(network)
    assert network.aesthetics.logits.weight.grad.any()


def test_a_stopped_guidance_gradient_ends_before_the_scores():
    network = build(replace(TINY, stop_guidance_gradient=True))
    assert reached_by_the_saliency_loss(network) == ["embedding.weight", "embedding.bias"]


def test_a_stopped_guidance_gradient_still_trains_the_encoder():
    network = build(replace(TINY, stop_guidance_gradient=True))
    reached_by_the_saliency_loss(network)
    assert network.encoder.body.conv_stem.weight.grad.any()


def test_a_stopped_guidance_gradient_does_not_change_the_numbers():
    stopped, free = build(replace(TINY, stop_guidance_gradient=True)), build()
    assert torch.equal(stopped(images()).log_density, free(images()).log_density)


def test_without_guidance_no_saliency_loss_reaches_the_aesthetic_head():
    assert reached_by_the_saliency_loss(build(replace(TINY, guidance=False))) == []


def test_the_aesthetic_loss_leaves_the_decoder_alone():
    network = build()
    network(images()).score_logits.square().sum().backward()
    assert all(p.grad is None for p in network.decoder.parameters())


def test_auxiliary_outputs_appear_in_training():
    network = build(replace(TINY, auxiliary_outputs=2)).train()
    assert len(network(images()).auxiliary_log_densities) == 2


def test_auxiliary_outputs_are_densities_at_full_size():
    network = build(replace(TINY, auxiliary_outputs=2)).train()
    for log_density in network(images()).auxiliary_log_densities:
        assert log_density.shape == (2, 64, 96)
        torch.testing.assert_close(log_density.exp().sum(dim=(1, 2)), torch.ones(2))


def test_auxiliary_outputs_are_gone_in_evaluation():
    network = build(replace(TINY, auxiliary_outputs=2)).eval()
    assert network(images()).auxiliary_log_densities == ()


def test_strides_in_any_order_mean_the_same():
    assert torch.equal(
        build(replace(TINY, saliency_strides=(8, 32, 16)))(images()).log_density,
        build(replace(TINY, saliency_strides=(32, 16, 8)))(images()).log_density,
    )


def test_a_stage_that_the_encoder_lacks_is_refused_with_those_it_has():
    with pytest.raises(ConfigError, match=r"\(4, 8, 16, 32\)\. Found \(2, 8\)"):
        SaliencyNetwork(replace(TINY, encoder="test_convnext", saliency_strides=(2, 8)))


def test_a_network_without_a_head_is_refused():
    with pytest.raises(ConfigError, match="should have a head"):
        replace(TINY, saliency=False, aesthetics=False, guidance=False)


@pytest.mark.parametrize("missing", ["saliency", "aesthetics"])
def test_guidance_between_fewer_than_two_heads_is_refused(missing):
    with pytest.raises(ConfigError, match="needs both heads"):
        replace(TINY, **{missing: False})


@pytest.mark.parametrize(("channels", "nearest"), [(20, 16), (3, 8), (0, 8), (-8, 8)])
def test_an_odd_width_is_refused_with_one_that_works(channels, nearest):
    with pytest.raises(ConfigError, match=f"nearest is {nearest}"):
        replace(TINY, decoder_channels=channels)


def test_as_many_auxiliary_outputs_as_stages_are_refused():
    with pytest.raises(ConfigError, match="less than the 4 decoder stages"):
        replace(TINY, auxiliary_outputs=4)


def test_upsampling_keeps_the_sum_of_1():
    log_density = torch.randn(2, 4, 6).flatten(1).log_softmax(dim=1).view(2, 4, 6)
    sums = upsample(log_density, (37, 50)).exp().sum(dim=(1, 2))
    torch.testing.assert_close(sums, torch.ones(2))


def test_upsampling_to_the_same_size_changes_nothing():
    log_density = torch.randn(2, 4, 6).flatten(1).log_softmax(dim=1).view(2, 4, 6)
    torch.testing.assert_close(upsample(log_density, (4, 6)), log_density)


def test_under_autocast_the_log_density_stays_float32():
    with torch.autocast("cpu", torch.bfloat16):
        assert build()(images()).log_density.dtype == torch.float32


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_only_a_share_of_the_aesthetic_gradient_reaches_the_encoder(share):
    def encoder_gradient(aesthetic_gradient):
        torch.manual_seed(0)
        network = SaliencyNetwork(
            Architecture(
                "test_efficientnet",
                saliency=False,
                guidance=False,
                aesthetic_gradient=aesthetic_gradient,
                dropout=0.0,
            )
        )
        network(torch.ones(1, 3, 64, 96)).score_logits[0, 0].backward()
        gradients = [p.grad for p in network.encoder.parameters() if p.grad is not None]
        return torch.cat([g.flatten() for g in gradients])

    torch.testing.assert_close(encoder_gradient(share), share * encoder_gradient(1.0))


GATED = replace(TINY, guidance_form="gate")
ATTENDING = replace(TINY, guidance=False, score_attention=True)


def opened(architecture: Architecture) -> SaliencyNetwork:
    """Build a network whose gates and score attention have left their start at 0."""
    torch.manual_seed(0)
    network = SaliencyNetwork(architecture).eval()
    for name, parameter in network.named_parameters():
        if ".gate.mix." in name or ".attended." in name:
            torch.nn.init.normal_(parameter)
    return network


def test_a_gate_lets_the_aesthetic_head_move_the_density():
    assert not torch.allclose(*density_after_new_aesthetics(opened(GATED)))


def test_a_gated_network_has_no_film():
    names = [name for name, _ in SaliencyNetwork(GATED).named_parameters()]
    assert not [name for name in names if "film" in name]


def test_a_gate_needs_heads_that_read_the_same_stages():
    with pytest.raises(ConfigError, match="same stages"):
        SaliencyNetwork(replace(GATED, aesthetic_strides=(16, 32)))


@pytest.mark.parametrize("stop", [False, True])
def test_stopping_the_guidance_gradient_keeps_a_gate_from_the_encoder_alone(stop):
    network = opened(replace(GATED, stop_guidance_gradient=stop))
    features = [f.requires_grad_() for f in network.encoder(images())]
    maps = network.aesthetics.activation_maps(
        [features[i] for i in network.aesthetic_stages], stop_gradient=stop
    )
    maps[0].sum().backward()
    assert network.aesthetics.embedding.weight.grad is not None
    assert (network.encoder.body.conv_stem.weight.grad is None) == stop


def test_score_attention_starts_at_nothing():
    torch.manual_seed(0)
    plain = SaliencyNetwork(replace(TINY, guidance=False)).eval()
    attending = SaliencyNetwork(ATTENDING).eval()
    attending.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(attending(images()).score_logits, plain(images()).score_logits)


def test_score_attention_reads_where_the_density_is():
    network = opened(ATTENDING)
    before = network(images()).score_logits
    for parameter in network.decoder.parameters():
        torch.nn.init.normal_(parameter)
    assert not torch.allclose(before, network(images()).score_logits)


def test_the_score_does_not_train_the_density_that_it_is_read_by():
    network = opened(ATTENDING)
    network(images()).score_logits.sum().backward()
    assert all(p.grad is None for p in network.decoder.parameters())


def test_score_attention_needs_both_heads():
    with pytest.raises(ConfigError, match="`score_attention` needs both heads"):
        replace(SALIENCY_ONLY, score_attention=True)
