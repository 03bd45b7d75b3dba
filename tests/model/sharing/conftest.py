import pytest
import torch

from saliency.model.encoders import build_encoder


@pytest.fixture
def encoder():
    """A small encoder with random weights that are the same in every test."""
    torch.manual_seed(0)
    return build_encoder("test_efficientnet", final_features=True).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
