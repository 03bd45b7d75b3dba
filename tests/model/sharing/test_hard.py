import torch

from saliency.model.sharing import HardSharing


def test_every_task_reads_the_encoders_features(encoder, images):
    features = HardSharing(3).eval()(encoder, images)
    for own in features.by_task:
        for feature, same in zip(own, encoder(images), strict=True):
            assert torch.equal(feature, same)


def test_it_adds_nothing_to_the_network():
    assert not HardSharing(2).state_dict()


def test_in_training_a_gradient_where_tasks_meet_is_the_heads_alone(encoder, images):
    features = HardSharing(2).train()(encoder.train(), images)
    shallow, deep = features.by_task[0][0], features.by_task[0][-1]
    assert features.measured[0] == (shallow,)
    (gradient,) = torch.autograd.grad(deep.sum(), features.measured[0], allow_unused=True)
    assert gradient is None  # though the deep feature comes from the shallow one
