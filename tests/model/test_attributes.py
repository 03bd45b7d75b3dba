import torch
from torch.nn import functional as F

from saliency.attributes import Attribute
from saliency.model.attributes import AttributeHead
from saliency.model.readout import pool_features

VALENCE = Attribute("valence", 1, 7)
KIND = Attribute("kind", classes=("a", "b", "c"))
CHANNELS = (3, 5)


def features(count):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, c, 4, 6, generator=generator) for c in CHANNELS]


def test_a_scale_is_a_number_a_photo_and_classes_are_logits():
    assert AttributeHead(CHANNELS, VALENCE, 0.0)(features(2))[0].shape == (2,)
    assert AttributeHead(CHANNELS, KIND, 0.0)(features(2))[0].shape == (2, 3)


def test_a_fitted_scale_is_what_the_features_say():
    photos = features(60)
    pooled = pool_features(photos)
    labels = (0.5 + 0.3 * (pooled[:, 0] - pooled[:, 0].mean())).clamp(0, 1)
    head = AttributeHead(CHANNELS, VALENCE, 0.0)
    head.fit(pooled, labels, ridge=1e-3)
    assert torch.allclose(head(photos)[0], labels, atol=0.01)


def test_fitted_classes_are_told_apart():
    photos = features(90)
    pooled = pool_features(photos)
    labels = torch.bucketize(
        pooled[:, 1].contiguous(), pooled[:, 1].quantile(torch.tensor([1 / 3, 2 / 3]))
    )
    head = AttributeHead(CHANNELS, KIND, 0.0)
    before = F.cross_entropy(head(photos)[0], labels)
    head.fit(pooled, labels.float(), ridge=1.0)
    logits, _ = head(photos)
    assert (logits.argmax(dim=1) == labels).float().mean() > 0.7
    assert F.cross_entropy(logits, labels) < before


def test_without_a_signal_the_fitted_classes_have_their_frequencies():
    pooled = torch.zeros(40, 2 * sum(CHANNELS))
    head = AttributeHead(CHANNELS, KIND, 0.0)
    head.fit(pooled, torch.tensor([0.0] * 10 + [1.0] * 10 + [2.0] * 20), ridge=1.0)
    assert torch.allclose(head.readout.bias.softmax(0), torch.tensor([0.25, 0.25, 0.5]))


def test_the_features_get_the_share_of_the_gradient_that_was_asked_for():
    def gradient(share):
        torch.manual_seed(0)
        head = AttributeHead(CHANNELS, VALENCE, 0.0)
        photos = [f.requires_grad_() for f in features(2)]
        head(photos, feature_gradient=share)[0].sum().backward()
        return photos[0].grad

    assert torch.allclose(gradient(0.25), 0.25 * gradient(1.0))


def test_a_read_out_is_cut_by_the_stages_it_reads():
    head = AttributeHead(CHANNELS, KIND, 0.0)
    pieces = head.by_channel(head.readout.weight)
    assert [tuple(piece.shape) for piece in pieces] == [(6, 3), (6, 5)]
    assert torch.equal(pieces[1][:3], head.readout.weight[:, 6:11])
