"""A plain transformer becomes a pyramid, whatever its patch and the photo's shape."""

import pytest
import torch
from safetensors.torch import save_file

from saliency.errors import ConfigError
from saliency.model.encoders import build_encoder
from saliency.model.encoders.plain_transformer import PlainTransformer

NAME, WIDTH = "test_vit", 64
PATCH_14 = "eva02_tiny_patch14_224"


def images(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(NAME, final_features=True).eval()


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (32, 32)])
def test_each_stage_has_the_size_of_its_stride(encoder, size):
    *stages, _ = encoder(images(*size))
    assert [tuple(f.shape[2:]) for f in stages] == [
        (size[0] // stride, size[1] // stride) for stride in (4, 8, 16, 32)
    ]


def test_channels_are_those_of_the_features(encoder):
    assert encoder.channels == tuple(feature.shape[1] for feature in encoder(images()))


def test_a_patch_of_14_covers_16_pixels_of_the_input(monkeypatch):
    encoder = build_encoder(PATCH_14).eval()
    inner = encoder.body.forward_intermediates
    sizes = []

    def watch(x, *given, **named):
        sizes.append(tuple(x.shape[2:]))
        return inner(x, *given, **named)

    monkeypatch.setattr(encoder.body, "forward_intermediates", watch)
    encoder(images(64, 96))
    assert sizes == [(56, 84)]


def test_final_features_are_the_networks_own_patches(encoder):
    tokens = encoder.body.forward_features(images())
    patches = encoder(images())[-1][:, :WIDTH].flatten(2).transpose(1, 2)
    torch.testing.assert_close(patches, tokens[:, 1:], rtol=1e-4, atol=1e-5)


def test_final_features_hold_the_class_token_everywhere(encoder):
    token = encoder.body.forward_features(images())[:, 0]
    final = encoder(images())[-1][:, WIDTH:]
    torch.testing.assert_close(
        final, token[:, :, None, None].expand_as(final), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("blocks", "read"), [(1, [5]), (2, [2, 5]), (6, [0, 1, 2, 3, 4, 5])])
def test_blocks_are_spread_evenly_up_to_the_last(blocks, read):
    encoder = build_encoder(NAME, blocks=blocks)
    assert isinstance(encoder, PlainTransformer)
    assert encoder.read == read


def test_more_blocks_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="at most the 6 blocks"):
        build_encoder(NAME, blocks=7)


def test_detail_smaller_than_a_patch_reaches_the_finest_stage_alone(encoder):
    before = encoder(images())
    with torch.no_grad():
        encoder.detail[-1].bias.add_(1)
    changed = [not torch.equal(a, b) for a, b in zip(before, encoder(images()), strict=True)]
    assert changed == [True, False, False, False, False]


def test_weights_of_a_file_are_used(encoder, tmp_path):
    save_file(encoder.body.state_dict(), tmp_path / "own.safetensors")
    loaded = build_encoder(NAME, final_features=True, weights=tmp_path / "own.safetensors").eval()
    assert torch.equal(loaded(images())[-1], encoder(images())[-1])


def test_a_frozen_stride_is_refused_with_what_freezes(encoder):
    with pytest.raises(ConfigError, match="encoder_tuning"):
        encoder.freeze_shallow(4)


def test_a_size_that_is_no_multiple_is_refused(encoder):
    with pytest.raises(ConfigError, match="100x64"):
        encoder.check_size((100, 64))


def test_a_transformer_of_one_size_is_refused_with_one_of_any():
    with pytest.raises(ConfigError, match=r"vit_small_patch14_dinov2.*cait_xxs24_224.*64x64"):
        build_encoder("cait_xxs24_224")
