"""The encoder keeps its ImageNet statistics, says what it gives, refuses what is not its own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from saliency.errors import ConfigError
from saliency.model.encoders import Encoder, build_encoder

TINY = ("test_efficientnet", "test_convnext")


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def encoder() -> Encoder:
    return build_encoder("test_efficientnet")


def test_batch_norm_statistics_stay_through_training(encoder):
    before = {k: v.clone() for k, v in encoder.state_dict().items() if "running" in k}
    encoder.train()
    encoder(images())
    assert before
    assert all(torch.equal(encoder.state_dict()[k], v) for k, v in before.items())


def test_batch_norm_stays_frozen_when_a_parent_switches_to_training(encoder):
    torch.nn.Sequential(encoder).eval().train()
    assert not any(layer.training for layer in encoder.batch_norms())


def test_all_but_batch_norm_does_switch_to_training(encoder):
    encoder.eval()
    encoder.train()
    assert encoder.body.conv_stem.training


def test_batch_norm_scale_and_shift_get_no_gradient(encoder):
    encoder(images())[-1].sum().backward()
    assert all(p.grad is None for layer in encoder.batch_norms() for p in layer.parameters())


def test_batch_norm_scale_and_shift_can_be_trained():
    encoder = build_encoder("test_efficientnet", train_batch_norm_affine=True)
    encoder(images())[-1].sum().backward()
    assert all(p.grad is not None for layer in encoder.batch_norms() for p in layer.parameters())


def test_trained_scale_and_shift_leave_the_statistics_frozen():
    encoder = build_encoder("test_efficientnet", train_batch_norm_affine=True).train()
    assert not any(layer.training for layer in encoder.batch_norms())


def test_a_row_does_not_depend_on_its_batch_even_in_training(encoder):
    encoder.train()
    together, alone = encoder(images())[-1][:1], encoder(images()[:1])[-1]
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_probing_leaves_it_in_training_mode(encoder):
    assert encoder.training


@pytest.mark.parametrize(
    ("name", "strides"),
    [("test_efficientnet", (2, 4, 8, 16, 32)), ("test_convnext", (4, 8, 16, 32))],
)
def test_strides(name, strides):
    assert build_encoder(name).strides == strides


@pytest.mark.parametrize("final_features", [False, True])
@pytest.mark.parametrize("name", TINY)
def test_channels_are_those_of_the_features(name, final_features):
    encoder = build_encoder(name, final_features=final_features)
    assert encoder.channels == tuple(f.shape[1] for f in encoder(images()))


@pytest.mark.parametrize("name", TINY)
def test_feature_sizes_are_those_of_the_strides(name):
    encoder = build_encoder(name)
    assert [tuple(f.shape[2:]) for f in encoder(images())] == [
        (64 // stride, 96 // stride) for stride in encoder.strides
    ]


@pytest.mark.parametrize("name", TINY)
def test_final_features_are_one_more_stage_of_the_same_strides(name):
    plain, final = build_encoder(name), build_encoder(name, final_features=True)
    assert final.strides == plain.strides
    assert len(final.channels) == len(plain.channels) + 1


def test_normalisation_differs_by_encoder():
    assert build_encoder("test_efficientnet").mean != build_encoder("test_convnext").mean


def test_a_frozen_shallow_stage_gets_no_gradient(encoder):
    encoder.freeze_shallow(4)
    assert not encoder(images())[1].requires_grad


def test_stages_beyond_the_frozen_ones_still_learn(encoder):
    encoder.freeze_shallow(4)
    encoder(images())[-1].sum().backward()
    deep = [p for p in encoder.body.blocks[2:].parameters() if p.requires_grad]
    assert deep
    assert all(p.grad is not None for p in deep)


def test_freezing_counts_what_it_froze(encoder):
    def trainable() -> int:
        return sum(p.numel() for p in encoder.parameters() if p.requires_grad)

    before = trainable()
    assert encoder.freeze_shallow(4) == before - trainable() > 0


def test_stride_0_freezes_nothing(encoder):
    assert encoder.freeze_shallow(0) == 0


def test_freezing_again_finds_nothing_more(encoder):
    encoder.freeze_shallow(4)
    assert encoder.freeze_shallow(4) == 0


def test_freezing_also_stops_trained_batch_norm_of_shallow_stages():
    encoder = build_encoder("test_efficientnet", train_batch_norm_affine=True)
    encoder.freeze_shallow(2)
    assert not encoder.body.bn1.weight.requires_grad


@pytest.mark.parametrize("final_features", [False, True])
@pytest.mark.parametrize("name", TINY)
def test_weights_of_a_file_are_used(name, final_features, tmp_path):
    source = build_encoder(name, final_features=True)
    save_file(source.body.state_dict(), tmp_path / "own.safetensors")
    loaded = build_encoder(
        name, final_features=final_features, weights=tmp_path / "own.safetensors"
    )
    assert torch.equal(loaded.eval()(images())[0], source.eval()(images())[0])


def test_what_a_cut_network_leaves_out_of_a_file_is_not_listed(tmp_path, caplog):
    source = build_encoder("test_efficientnet", final_features=True)
    save_file(source.body.state_dict(), tmp_path / "own.safetensors")
    build_encoder("test_efficientnet", weights=tmp_path / "own.safetensors")
    assert not caplog.messages


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.safetensors"):
        build_encoder("test_efficientnet", weights=tmp_path / "absent.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    """timm only logs them, and the encoder stays random."""
    path = tmp_path / "other.safetensors"
    save_file(build_encoder("test_convnext", final_features=True).body.state_dict(), path)
    with pytest.raises(ConfigError, match="missing tensors"):
        build_encoder("test_efficientnet", weights=path)


def test_weights_of_another_width_are_refused(tmp_path):
    tensors = build_encoder("test_efficientnet").body.state_dict()
    tensors["conv_stem.weight"] = torch.zeros(8, 3, 3, 3)
    save_file(tensors, tmp_path / "narrow.safetensors")
    with pytest.raises(ConfigError, match="size mismatch"):
        build_encoder("test_efficientnet", weights=tmp_path / "narrow.safetensors")


def test_damaged_weights_are_refused(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_text("no tensors at all")
    with pytest.raises(ConfigError, match="whole safetensors file"):
        build_encoder("test_efficientnet", weights=path)


def test_weights_that_would_be_unpickled_are_refused(tmp_path):
    path: Path = tmp_path / "weights.pth"
    torch.save(build_encoder("test_efficientnet").body.state_dict(), path)
    with pytest.raises(ConfigError, match=r"\.safetensors file"):
        build_encoder("test_efficientnet", weights=path)


@pytest.mark.parametrize(
    "name",
    [
        "no_such_network",
        "",
        "test_efficientnet.no_such_weights",
        "hf-hub:someone/something",  # would be looked up on the network
        "levit_128s",  # takes one input size only
    ],
)
def test_unusable_encoders_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"Found {name!r}"):
        build_encoder(name)
