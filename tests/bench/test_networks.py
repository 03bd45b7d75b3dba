import pytest

from saliency.bench.networks import (
    Networks,
    compare_networks,
    count_weights,
    write_single_networks,
)
from saliency.bench.photos import make_photo
from saliency.checkpoint import load_checkpoint


@pytest.fixture
def both(tiny_weights):
    return load_checkpoint(tiny_weights)


def test_single_networks_have_a_head_each_and_the_same_encoder(both, tmp_path):
    architecture = both.network.architecture

    networks = write_single_networks(architecture, both.preprocessing, tmp_path)

    built = [load_checkpoint(path).network for path in networks.paths]
    assert [(n.decoder is None, n.aesthetics is None) for n in built] == [
        (False, True),
        (True, False),
    ]
    encoder = count_weights([both.network.encoder])
    for network in built:
        assert count_weights([network.encoder]) == encoder
    assert networks.weight_bytes == count_weights(built)
    assert networks.weight_bytes > count_weights([both.network])


def test_one_network_is_compared_with_both_others(both, tiny_weights, tmp_path):
    photo, file = make_photo(0.05), tmp_path / "photo.jpg"
    file.write_bytes(photo.jpeg)
    one = Networks((tiny_weights,), count_weights([both.network]))
    two = write_single_networks(both.network.architecture, both.preprocessing, tmp_path)

    row = compare_networks(one, two, "torch", photo, file, 0.2, "cpu", 1)

    assert row.one.weight_bytes < row.two.weight_bytes
    # Two encoders are computed instead of one; less than 1.2 would be noise.
    assert row.two.timing.ms / row.one.timing.ms > 1.2
