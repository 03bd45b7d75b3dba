"""Each task learns from the images that have its label; the number of tasks is free."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from saliency.losses import saliency_loss, squared_emd_loss
from saliency.tasks import (
    AestheticTask,
    Likelihood,
    OrderTask,
    SaliencyTask,
    Task,
    count_labels,
    mean_floors,
    mean_task_losses,
)
from saliency.types import SCORE_BINS, Batch, Output
from saliency.weighting import UncertaintyWeighting

SIZE = (6, 8)
TASKS: tuple[Task, ...] = (SaliencyTask(), AestheticTask())


class Brightness:
    """A third, made-up task: the first logit should be the image's mean."""

    name = "brightness"
    likelihood: Likelihood = "regression"

    def present(self, batch: Batch) -> Tensor:
        return torch.ones(len(batch.images), dtype=torch.bool)

    def losses(self, output: Output, batch: Batch) -> Tensor:
        assert output.score_logits is not None
        return (output.score_logits[:, 0] - batch.images.mean(dim=(1, 2, 3))).square()

    def floors(self, batch: Batch) -> Tensor:
        return torch.zeros(len(batch.images))


def labelled(has_saliency: list[bool], has_rating: list[bool]) -> Batch:
    """Return a batch whose rows without a label hold zeros, as collation makes them."""
    count = len(has_saliency)
    generator = torch.Generator().manual_seed(1)
    density = torch.rand(count, *SIZE, generator=generator)
    votes = torch.rand(count, SCORE_BINS, generator=generator)
    looked, rated = torch.tensor(has_saliency), torch.tensor(has_rating)
    return Batch(
        images=torch.ones(count, 3, *SIZE),
        dataset_index=torch.zeros(count, dtype=torch.long),
        density=density / density.sum(dim=(1, 2), keepdim=True) * looked[:, None, None],
        has_saliency=looked,
        score_distribution=votes / votes.sum(dim=1, keepdim=True) * rated[:, None],
        has_rating=rated,
        attributes=torch.zeros(count, 0),
        photo=torch.arange(count),
        distortion=torch.full((count,), -1),
        margin=torch.zeros(count),
    )


def predicted(count: int, auxiliary: int = 0) -> Output:
    """Return leaves that gather gradients."""
    generator = torch.Generator().manual_seed(2)

    def log_density() -> Tensor:
        noise = torch.randn(count, SIZE[0] * SIZE[1], generator=generator)
        return noise.log_softmax(dim=1).view(count, *SIZE).requires_grad_()

    return Output(
        log_density(),
        torch.randn(count, SCORE_BINS, generator=generator).requires_grad_(),
        tuple(log_density() for _ in range(auxiliary)),
    )


def test_the_mean_is_over_labelled_images_alone():
    batch, output = labelled([True, False, True], [False, True, True]), predicted(3)
    (saliency, aesthetics), _ = mean_task_losses(TASKS, output, batch)
    expected = saliency_loss(output.log_density[[0, 2]], batch.density[[0, 2]]).mean()
    torch.testing.assert_close(saliency, expected)
    expected = squared_emd_loss(output.score_logits[1:], batch.score_distribution[1:]).mean()
    torch.testing.assert_close(aesthetics, expected)


def rows_of(values: Batch | Output, rows: slice) -> dict[str, Tensor]:
    names = (
        ("log_density", "score_logits") if isinstance(values, Output) else type(values).__slots__
    )
    return {name: getattr(values, name)[rows] for name in names}


def test_the_shares_of_parts_add_up_to_the_mean_of_the_whole():
    batch, output = labelled([True, False, True], [False, True, True]), predicted(3)
    whole, _ = mean_task_losses(TASKS, output, batch)
    parts = [slice(0, 1), slice(1, 3)]  # nothing is rated in the first
    batches = [Batch(**rows_of(batch, rows)) for rows in parts]
    counts = count_labels(TASKS, batches).tolist()
    shares = [
        mean_task_losses(TASKS, Output(**rows_of(output, rows)), part, counts)[0]
        for rows, part in zip(parts, batches, strict=True)
    ]
    assert counts == [2, 2]
    for total, *of_parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(sum(of_parts), total)


def test_no_batches_have_no_labels():
    assert count_labels(TASKS, []).tolist() == [0, 0]


def test_rows_without_a_label_get_no_gradient():
    output = predicted(3)
    (saliency, aesthetics), _ = mean_task_losses(
        TASKS, output, labelled([True, False, True], [False, True, True])
    )
    (saliency + aesthetics).backward()
    assert output.log_density.grad.flatten(1).any(dim=1).tolist() == [True, False, True]
    assert output.score_logits.grad.any(dim=1).tolist() == [False, True, True]


def test_what_stands_in_rows_without_a_label_does_not_matter():
    batch, output = labelled([True, False], [True, True]), predicted(2)
    before = mean_task_losses(TASKS, output, batch)[0][0]
    batch.density[1] = 1.0
    assert torch.equal(mean_task_losses(TASKS, output, batch)[0][0], before)


def test_presence_is_told_for_each_task():
    _, present = mean_task_losses(TASKS, predicted(2), labelled([False, False], [False, True]))
    assert present == [False, True]


def test_an_absent_task_is_0_without_a_gradient():
    losses, _ = mean_task_losses(TASKS, predicted(2), labelled([False, False], [True, True]))
    assert losses[0].item() == 0
    assert not losses[0].requires_grad


def test_an_absent_task_does_not_need_its_head():
    output = predicted(2)._replace(log_density=None)
    losses, _ = mean_task_losses(TASKS, output, labelled([False, False], [True, True]))
    assert losses[1] > 0


@pytest.mark.parametrize(
    ("task", "missing"),
    [(SaliencyTask(), "log_density"), (AestheticTask(), "score_logits")],
)
def test_a_present_task_without_its_head_is_an_error(task, missing):
    output = predicted(1)._replace(**{missing: None})
    with pytest.raises(ValueError, match=missing):
        mean_task_losses((task,), output, labelled([True], [True]))


def test_auxiliary_outputs_share_the_auxiliary_weight():
    batch, output = labelled([True], [True]), predicted(1, auxiliary=2)
    with_auxiliary = SaliencyTask(auxiliary_weight=0.4).losses(output, batch)
    extra = sum(saliency_loss(a, batch.density) for a in output.auxiliary_log_densities)
    torch.testing.assert_close(
        with_auxiliary, saliency_loss(output.log_density, batch.density) + 0.2 * extra
    )


def test_without_an_auxiliary_weight_auxiliary_outputs_learn_nothing():
    output = predicted(1, auxiliary=1)
    SaliencyTask().losses(output, labelled([True], [True])).sum().backward()
    assert output.auxiliary_log_densities[0].grad is None


def test_a_third_task_joins_without_a_change_elsewhere():
    tasks: tuple[Task, ...] = (*TASKS, Brightness())
    output = predicted(2)
    losses, present = mean_task_losses(tasks, output, labelled([True, False], [False, False]))
    weighting = UncertaintyWeighting([task.likelihood for task in tasks])
    weighting(losses, present).backward()
    assert present == [True, False, True]
    assert weighting.started.tolist() == present
    assert output.score_logits.grad.any(dim=0).tolist() == [True] + [False] * (SCORE_BINS - 1)


def test_spoilt_copies_are_what_order_is_learned_from():
    batch = replace(
        labelled([True, False, False], [False] * 3),
        photo=torch.tensor([0, 0, 0]),
        distortion=torch.tensor([-1, 0, 0]),
        margin=torch.tensor([0.0, 1.0, 2.0]),
    )
    task, output = OrderTask(), predicted(3)
    assert task.present(batch).tolist() == [False, True, True]
    losses = task.losses(output, batch)
    assert losses[0] == 0
    losses.sum().backward()
    assert output.score_logits.grad.abs().sum(dim=1).bool().all()  # the photo's score moves, too
    assert output.log_density.grad is None


def test_order_needs_an_aesthetic_head():
    with pytest.raises(ValueError, match="should hold score_logits"):
        OrderTask().losses(Output(None, None), labelled([True], [True]))


def test_divergence_and_floor_of_a_density_are_the_cross_entropy_of_a_fixation():
    batch, output = labelled([True, True], [False, False]), predicted(2)
    kl = torch.xlogy(batch.density, batch.density) - batch.density * output.log_density
    cross_entropy = -(batch.density * output.log_density).sum(dim=(1, 2))
    floors = SaliencyTask().floors(batch)
    torch.testing.assert_close(kl.sum(dim=(1, 2)) + floors, cross_entropy)


@pytest.mark.parametrize("loss", ["emd", "likelihood"])
def test_loss_and_floor_of_votes_are_the_mean_loss_of_single_votes(loss):
    batch, output = labelled([False], [True]), predicted(1)
    task = AestheticTask(loss)
    single = [
        task.losses(output, replace(batch, score_distribution=vote[None]))
        for vote in torch.eye(SCORE_BINS)
    ]
    votes = batch.score_distribution[0]
    expected = sum(share * loss_of_vote for share, loss_of_vote in zip(votes, single, strict=True))
    torch.testing.assert_close(task.losses(output, batch) + task.floors(batch), expected)


def test_people_who_agree_leave_no_floor():
    batch = labelled([True], [True])
    agreed = replace(
        batch,
        density=torch.zeros_like(batch.density).index_fill(2, torch.tensor([3]), 0),
        score_distribution=torch.eye(SCORE_BINS)[4:5],
    )
    agreed.density[0, 2, 3] = 1
    for task in (SaliencyTask(), AestheticTask(), AestheticTask("likelihood")):
        assert task.floors(agreed).item() == 0


def test_mean_floors_of_parts_add_up_to_that_of_the_whole():
    whole = labelled([True, False, True], [False, True, True])
    parts = [labelled([True], [True]), labelled([True, True], [False, False])]
    counts = count_labels(TASKS, [whole]).tolist()
    saliency, aesthetics = mean_floors(TASKS, [whole], counts)
    torch.testing.assert_close(saliency, SaliencyTask().floors(whole)[[0, 2]].double().mean())
    torch.testing.assert_close(aesthetics, AestheticTask().floors(whole)[[1, 2]].double().mean())
    sums = [mean_floors(TASKS, [part], [3, 1]) for part in parts]
    together = mean_floors(TASKS, parts, [3, 1])
    torch.testing.assert_close(sums[0][0] + sums[1][0], together[0])


def test_the_likelihood_form_is_a_classification():
    assert AestheticTask("likelihood").likelihood == "classification"
    assert AestheticTask().likelihood == "regression"
