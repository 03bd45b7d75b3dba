import torch

from saliency.model.sharing import MeanConstraint
from saliency.model.sharing.mean_constraint import spread


def test_tasks_start_with_equal_encoders_and_no_penalty(encoder, images):
    sharing = MeanConstraint(encoder, 3).eval()
    first, *rest = sharing(encoder, images).by_task
    assert all(torch.equal(a, b) for own in rest for a, b in zip(first, own, strict=True))
    assert sharing.penalty(encoder, ()) < 1e-9


def test_the_penalty_is_the_squared_distance_from_the_mean():
    one, other = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])
    assert spread([(one, other)]) == 2.0  # each is 1 away from (2, 2)


def test_the_penalty_pulls_the_encoders_together(encoder):
    sharing = MeanConstraint(encoder, 2)
    weight = sharing.others[0].body.conv_stem.weight
    with torch.no_grad():
        weight += 1
    sharing.penalty(encoder, ()).backward()
    assert (weight.grad > 0).all()
    assert (encoder.body.conv_stem.weight.grad < 0).all()


def test_a_task_trains_its_own_encoder_alone(encoder, images):
    sharing = MeanConstraint(encoder.train(), 2).train()
    sharing(encoder, images).by_task[1][-1].sum().backward()
    assert encoder.body.conv_stem.weight.grad is None
    assert sharing.others[0].body.conv_stem.weight.grad.any()


def test_frozen_layers_do_not_count(encoder):
    sharing = MeanConstraint(encoder, 2)
    for one in sharing.encoders(encoder):
        one.freeze_shallow(4)
    with torch.no_grad():
        sharing.others[0].body.conv_stem.weight += 1
    assert sharing.penalty(encoder, ()) == 0
