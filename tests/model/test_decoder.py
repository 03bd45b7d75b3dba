"""The decoder reads every stage, sees one image at a time, and answers at the finest stride."""

import pytest
import torch
from torch import Tensor

from saliency.model.decoder import SaliencyDecoder

CHANNELS = (8, 12, 16)
SIZES = ((16, 24), (8, 12), (4, 6))


def features(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(count, c, h, w, generator=generator)
        for c, (h, w) in zip(CHANNELS, SIZES, strict=True)
    ]


def build(**options: int) -> SaliencyDecoder:
    torch.manual_seed(0)
    return SaliencyDecoder(CHANNELS, 16, **options)


def test_logits_have_the_size_of_the_shallowest_stage():
    assert build()(features(), None)[0].shape == (2, *SIZES[0])


def test_odd_sizes_fit_too():
    odd = [torch.randn(1, c, h, w) for c, h, w in zip(CHANNELS, (9, 5, 3), (13, 7, 4), strict=True)]
    assert build()(odd, None)[0].shape == (1, 9, 13)


@pytest.mark.parametrize("stage", range(3))
def test_every_stage_matters(stage):
    decoder, changed = build(), features()
    changed[stage] = changed[stage].flip(3)
    assert not torch.allclose(decoder(features(), None)[0], decoder(changed, None)[0])


def test_a_row_does_not_depend_on_its_batch_even_in_training():
    decoder = build().train()
    alone = decoder([f[:1] for f in features()], None)[0]
    torch.testing.assert_close(decoder(features(), None)[0][:1], alone, rtol=1e-5, atol=1e-5)


def test_an_embedding_changes_nothing_at_the_start():
    decoder = build(embedding_length=4)
    assert torch.equal(
        decoder(features(), torch.randn(2, 4))[0], decoder(features(), torch.zeros(2, 4))[0]
    )


@pytest.mark.parametrize("stage", range(3))
def test_an_embedding_can_reach_every_stage(stage):
    decoder = build(embedding_length=4)
    torch.nn.init.normal_(decoder.stages[stage].film.modulation.weight)
    assert not torch.allclose(
        decoder(features(), torch.ones(2, 4))[0], decoder(features(), torch.zeros(2, 4))[0]
    )


def test_without_guidance_there_is_no_film():
    assert all(stage.film is None for stage in build().stages)


def test_auxiliary_logits_are_those_of_the_coarsest_stages():
    _, auxiliary = build(auxiliary_outputs=2).train()(features(), None)
    assert [tuple(a.shape[1:]) for a in auxiliary] == [SIZES[2], SIZES[1]]


def test_auxiliary_logits_are_for_training_only():
    assert build(auxiliary_outputs=2).eval()(features(), None)[1] == ()


def test_auxiliary_outputs_leave_the_logits_alone():
    decoder = build(auxiliary_outputs=2)
    assert torch.equal(decoder.train()(features(), None)[0], decoder.eval()(features(), None)[0])


def test_every_parameter_learns():
    decoder = build(auxiliary_outputs=1, embedding_length=4)
    logits, (auxiliary,) = decoder.train()(features(), torch.ones(2, 4))
    (logits[:, 3, 5].sum() + auxiliary[:, 1, 2].sum()).backward()
    assert [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_missing_stage_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        build()(features()[1:], None)
