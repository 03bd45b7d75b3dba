"""Strategies built from a config, and the measurements that a run passes to them."""

import math

import pytest
import torch
from torch import nn

from saliency.datasets import DrawnDataset
from saliency.datasets.sets import LabelledSets
from saliency.errors import ConfigError
from saliency.evaluation import Measure, SetResult
from saliency.model import Architecture, SaliencyNetwork
from saliency.preprocessing import Preprocessing
from saliency.tasks import AestheticTask, SaliencyTask
from saliency.training.balancing import (
    check_gradients,
    constant_losses,
    gradient_cosines,
    indicators,
    mean_losses,
    shared_tensors,
)
from saliency.training.data import PlainBatches
from saliency.types import SCORE_BINS, Batch, Output

TASKS = (SaliencyTask(), AestheticTask())
CPU = torch.device("cpu")


def network(**choices):
    torch.manual_seed(0)
    choices = {"decoder_channels": 8, "final_features": False} | choices
    return SaliencyNetwork(Architecture("test_efficientnet", **choices))


def run_losses(model):
    """Return losses of each head, with the output that they come from."""
    model.train()
    output = model(torch.randn(2, 3, 64, 64))
    return [output.log_density.square().mean(), output.score_logits.square().sum()], output


class TestSharedTensors:
    def test_features_are_where_both_heads_begin(self):
        model = network()
        losses, output = run_losses(model)
        features = shared_tensors(model, "features", [output])
        for loss in losses:
            assert all(g.any() for g in torch.autograd.grad(loss, features, retain_graph=True))

    def test_no_gradient_at_a_feature_came_through_deeper_ones(self):
        # Else it would count the path twice, and cost a backward pass of the encoder.
        model = network(aesthetic_strides=(32,))
        (_, loss), output = run_losses(model)
        gradients = torch.autograd.grad(
            loss, shared_tensors(model, "features", [output]), materialize_grads=True
        )
        assert [bool(g.any()) for g in gradients] == [False, False, False, True]

    def test_the_encoders_gradient_is_what_features_pass_on(self):
        model = network()
        (loss, _), output = run_losses(model)
        weight = model.encoder.body.conv_stem.weight
        (direct,) = torch.autograd.grad(loss, weight, retain_graph=True)
        features = shared_tensors(model, "features", [output])
        gradients = torch.autograd.grad(loss, features, retain_graph=True)
        (passed,) = torch.autograd.grad(features, weight, gradients)
        torch.testing.assert_close(direct, passed, rtol=1e-3, atol=1e-7)

    def test_frozen_features_are_left_out(self):
        model = network()
        model.encoder.freeze_shallow(4)
        _, output = run_losses(model)
        assert len(shared_tensors(model, "features", [output])) == 3

    def test_prediction_keeps_no_features(self):
        assert network().eval()(torch.randn(1, 3, 64, 64)).features == ()

    def test_the_last_layer_is_the_last_convolution_of_the_final_features(self):
        model = network(final_features=True)
        (layer,) = shared_tensors(model, "last_layer")
        assert layer is model.encoder.body.conv_head.weight

    def test_the_last_layer_is_one_that_both_heads_use(self):
        model = network(saliency_strides=(4, 8), aesthetic_strides=(4, 8, 16, 32))
        losses, output = run_losses(model)
        (layer,) = shared_tensors(model, "last_layer", [output])
        for loss in losses:
            assert torch.autograd.grad(loss, layer, retain_graph=True)[0].any()
        deeper = shared_tensors(network(), "last_layer", [output])
        assert layer.shape != deeper[0].shape

    def test_parameters_are_the_encoders_trained_ones(self):
        model = network()
        model.encoder.freeze_shallow(4)
        found = shared_tensors(model, "parameters")
        expected = {id(p) for p in model.encoder.parameters() if p.requires_grad}
        assert {id(p) for p in found} == expected

    def test_an_encoder_that_is_not_trained_is_refused(self):
        model = network()
        model.encoder.requires_grad_(False)
        with pytest.raises(ConfigError, match="'mgda' needs gradients"):
            check_gradients(model, "mgda", "features", 1.0)

    def test_a_strategy_without_gradients_minds_nothing(self):
        model = network()
        model.encoder.requires_grad_(False)
        check_gradients(model, "equal", "nothing", 0.0)


class TestCosines:
    def cosine(self, losses, x, present=(True, True)):
        return gradient_cosines(TASKS, losses, present, [x])

    @pytest.mark.parametrize(
        ("other", "expected"), [((6.0, 8.0), 1), ((-3.0, -4.0), -1), ((-4.0, 3.0), 0)]
    )
    def test_they_tell_friend_from_foe(self, other, expected):
        x = torch.zeros(2, requires_grad=True)
        losses = [(x * torch.tensor(slope)).sum() for slope in ((3.0, 4.0), other)]
        assert self.cosine(losses, x) == {"cosine/saliency~aesthetics": pytest.approx(expected)}

    def test_no_gradient_has_cosine_0(self):
        x = torch.zeros(2, requires_grad=True)
        assert self.cosine([x.sum(), 0 * x.sum()], x) == {"cosine/saliency~aesthetics": 0}

    def test_one_task_alone_has_none(self):
        x = torch.zeros(2, requires_grad=True)
        assert self.cosine([x.sum(), x.sum()], x, (True, False)) == {}


def labelled(densities, distributions):
    """Return a batch with these labels, None where there is none."""
    count, size = len(densities), (2, 2)

    def rows(labels, shape):
        empty = torch.zeros(shape)
        return torch.stack(
            [empty if label is None else torch.tensor(label).view(shape) for label in labels]
        )

    return Batch(
        images=torch.zeros(count, 3, *size),
        dataset_index=torch.zeros(count, dtype=torch.long),
        density=rows(densities, size),
        has_saliency=torch.tensor([label is not None for label in densities]),
        score_distribution=rows(distributions, (SCORE_BINS,)),
        has_rating=torch.tensor([label is not None for label in distributions]),
        attributes=torch.zeros(count, 0),
        photo=torch.arange(count),
        distortion=torch.full((count,), -1),
        margin=torch.zeros(count),
    )


def votes(score):
    return [float(bin_ == score) for bin_ in range(1, SCORE_BINS + 1)]


LEFT, RIGHT = [0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]


class TestConstantLosses:
    def test_scores_cost_their_distance_from_the_mean_distribution(self):
        batches = [labelled([LEFT, RIGHT], [votes(1), votes(3)])]
        _, found = constant_losses(TASKS, batches, auxiliary=False)
        # the mean's CDF is .5 in bins 1 and 2, an image's 1 or 0
        assert found == pytest.approx(2 * 0.5**2 / SCORE_BINS, rel=1e-4)

    def test_maps_cost_their_divergence_from_the_mean_map(self):
        batches = [labelled([LEFT, RIGHT], [votes(1), votes(3)])]
        found, _ = constant_losses(TASKS, batches, auxiliary=False)
        assert found == pytest.approx(math.log(2) + 1, rel=1e-3)  # flat: KL log 2, CC 0

    def test_images_without_a_label_do_not_count(self):
        whole = [labelled([LEFT, RIGHT], [votes(1), votes(3)])]
        apart = [
            labelled([LEFT, None, None], [None, votes(1), None]),
            labelled([None, RIGHT], [votes(3), None]),
        ]
        assert constant_losses(TASKS, apart, auxiliary=False) == pytest.approx(
            constant_losses(TASKS, whole, auxiliary=False)
        )

    def test_auxiliary_outputs_are_constant_too(self):
        tasks = (SaliencyTask(auxiliary_weight=0.4),)
        batches = [labelled([LEFT, RIGHT], [None, None])]
        plain, with_auxiliary = (
            constant_losses(tasks, batches, auxiliary=auxiliary)[0] for auxiliary in (False, True)
        )
        assert with_auxiliary == pytest.approx(1.4 * plain)

    def test_equal_labels_cost_nothing(self):
        found = constant_losses(TASKS, [labelled([LEFT], [votes(1)])], auxiliary=False)
        assert found == pytest.approx([0, 0], abs=1e-5)

    def test_the_mean_label_costs_less_than_a_uniform_guess(self):
        sets = LabelledSets((DrawnDataset(12, 0),), (DrawnDataset(12, 10, rated=True),))
        plain = PlainBatches(sets, Preprocessing(64, 96, (0.5,) * 3, (0.5,) * 3), 100)
        prior = constant_losses(TASKS, plain, auxiliary=False)
        uniform = mean_losses(TASKS, uniformly, plain)
        assert all(0 < p < u for p, u in zip(prior, uniform, strict=True))


def uniformly(batch):
    """Predict the same density everywhere and the same vote for every score."""
    pixels = batch.density[0].numel()
    return Output(
        torch.full_like(batch.density, -math.log(pixels)),
        torch.zeros_like(batch.score_distribution),
    )


class TestMeanLosses:
    def test_every_image_counts_the_same_whatever_its_batch(self):
        labels = [votes(1), votes(1), votes(10)]
        together = [labelled([None] * 3, labels)]
        apart = [labelled([None] * 2, labels[:2]), labelled([None], labels[2:])]

        def first_bin(batch):
            return Output(None, 30 * torch.tensor(votes(1)).expand(len(batch.images), -1))

        tasks = TASKS[1:]
        found = mean_losses(tasks, first_bin, apart)
        assert found == pytest.approx(mean_losses(tasks, first_bin, together))
        assert found == pytest.approx([0.9 / 3])  # the third image is nine bins away

    def test_a_task_without_labels_is_unknown(self):
        found = mean_losses(TASKS, uniformly, [labelled([LEFT], [None])])
        assert found[0] > 0
        assert math.isnan(found[1])


class TestPlainBatches:
    @pytest.fixture
    def sets(self):
        return LabelledSets((DrawnDataset(20, 0),), (DrawnDataset(10, 10, rated=True),))

    PREPROCESSING = Preprocessing(64, 96, (0.5,) * 3, (0.25,) * 3)

    def test_every_iteration_gives_the_same(self, sets):
        plain = PlainBatches(sets, self.PREPROCESSING, 100)
        one, other = list(plain), list(plain)
        assert all(torch.equal(a.images, b.images) for a, b in zip(one, other, strict=True))

    def test_it_holds_every_image_once_at_the_networks_size(self, sets):
        batches = list(PlainBatches(sets, self.PREPROCESSING, 100, batch_size=8))
        assert [len(batch.images) for batch in batches] == [8, 8, 8, 6]
        assert batches[0].images.shape[2:] == batches[0].density.shape[1:] == (64, 96)

    def test_a_limit_leaves_as_many_of_both_kinds(self, sets):
        batches = list(PlainBatches(sets, self.PREPROCESSING, 5))
        assert sum(len(batch.images) for batch in batches) == 10
        assert sum(int(batch.has_rating.sum()) for batch in batches) == 5

    def test_densities_stay_densities(self, sets):
        (batch, *_) = PlainBatches(sets, self.PREPROCESSING, 100)
        assert batch.density.sum(dim=(1, 2)).tolist() == pytest.approx([1] * 8, rel=1e-4)


class TestIndicators:
    def result(self, **measures):
        return SetResult("any", 5, {name: Measure(v, None) for name, v in measures.items()})

    def test_each_task_has_the_mean_of_its_own(self):
        results = [self.result(CC=0.6, NSS=3.0), self.result(CC=0.8, SRCC=0.5)]
        assert indicators(TASKS, results) == pytest.approx([0.7, 0.5])

    def test_what_was_not_measured_is_unknown(self):
        found = indicators(TASKS, [self.result(CC=0.6)])
        assert found[0] == 0.6
        assert math.isnan(found[1])


def test_a_layer_without_training_is_not_the_last_one():
    model = network()
    [last] = model.last_shared_layers()
    assert isinstance(last, nn.Parameter)
    last.requires_grad_(False)
    assert model.last_shared_layers()[0] is not last
