"""The rearranged decoder computes the same numbers."""

from dataclasses import replace

import onnx
import pytest
import torch

from saliency.backends.rearrange import rearrange
from saliency.model import Architecture, SaliencyNetwork

BOTH = Architecture("test_efficientnet", decoder_channels=16, datasets=("osie",))
ARCHITECTURES = {
    "film": BOTH,
    "film, final features": replace(BOTH, final_features=True),
    "gate": replace(BOTH, guidance_form="gate"),
    "no guidance": replace(BOTH, guidance=False),
    "saliency alone": replace(BOTH, aesthetics=False, guidance=False),
    "aesthetics alone": replace(BOTH, saliency=False, guidance=False),
}


def build(architecture):
    """A network whose modulation and normalisation are not the identity that they start as."""
    torch.manual_seed(0)
    network = SaliencyNetwork(architecture).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1 or not parameter.any():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.inference_mode()
def test_the_outputs_are_those_of_the_network(name):
    network = build(ARCHITECTURES[name])
    images = torch.randn(2, 3, 64, 96)
    found, expected = rearrange(network)(images), network(images)
    for one, other in zip(found[:2], expected[:2], strict=True):
        if other is None:
            assert one is None
        else:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_network_itself_stays_as_it_is():
    network = build(BOTH)
    images = torch.randn(1, 3, 64, 96)
    before, names = network(images).log_density, list(network.state_dict())
    rearrange(network)
    assert torch.equal(network(images).log_density, before)
    assert list(network.state_dict()) == names


def test_what_is_enlarged_comes_from_a_convolution(exported):
    """Where it does not, ONNX Runtime enlarges outside of its blocks, in four times the time."""
    graph = onnx.load(exported.with_name(f"{exported.stem}.64x96.onnx")).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    enlarged = [
        node.input[0]
        for node in graph.node
        if node.op_type == "Resize"
        and {"linear"} == {a.s.decode() for a in node.attribute if a.name == "mode"}
    ]
    assert enlarged
    assert {made_by[name] for name in enlarged} == {"Conv"}
