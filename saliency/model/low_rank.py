"""Tune a pretrained network by matrices of low rank that are added to its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

ADAPTED = ("qkv", "q_proj", "k_proj", "v_proj", "proj")
"""Names of the attention matrices in timm."""


class LowRank(nn.Module):
    """The matrix W + U D, where D (rank, inputs) starts at random and U (outputs, rank) at 0.

    Source:
        Hu et al., "LoRA: low-rank adaptation of large language models" (2022), with alpha = rank.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the (outputs, inputs) matrix to use."""
        return weight + self.up @ self.down


def add_low_rank(network: nn.Module, rank: int) -> int:
    """Add trained matrices of low rank to the frozen ones of a network's attention, in place.

    Returns:
        Number of changed matrices.
    """
    matrices = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in ADAPTED
    ]
    for matrix in matrices:
        addition = LowRank(matrix.weight, rank).to(matrix.weight.device)
        register_parametrization(matrix, "weight", addition)
    return len(matrices)


def merged_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network by name, with the additions merged into its matrices.

    They fit the same network without additions.
    """
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if is_parametrized(module, "weight"):
            # PyTorch's own removal would also take the matrices of copies, such as averaged ones.
            prefix = f"{name}.parametrizations."
            state = {key: tensor for key, tensor in state.items() if not key.startswith(prefix)}
            matrix = module.weight
            assert isinstance(matrix, Tensor)  # noqa: S101
            state[f"{name}.weight"] = matrix
    return state
