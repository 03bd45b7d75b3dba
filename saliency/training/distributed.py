"""The processes of one run: their ranks, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from saliency.devices import find_device
from saliency.errors import DeviceError, SaliencyError

TIMEOUT = timedelta(minutes=60)
"""Longest time that a process waits for the others; it must cover the first one's validation."""


class World:
    """The processes that share a run; with a single process nothing is sent or changed.

    Each process computes a share of every batch. Values of the whole batch (counts of labels,
    losses, gradients) are added up before they are used, so that all processes hold the same
    network and the same weights of the tasks. Every process calls the same methods in the same
    order; each call waits for the others.

    Attributes:
        rank: Number of this process, counted from 0.
        size: Number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints messages."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the sums over all processes, without gradients.

        Args:
            tensors: Tensors of one dtype, on one device, with the same shapes in all processes.
        """
        if self.size == 1:
            return tensors
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])  # one message
        with _mourning():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)]

    def total(self, losses: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the sums over all processes, each with the gradient of this process's part.

        Args:
            losses: Scalars.
        """
        if self.size == 1:
            return losses
        sums = self.sum(losses)
        return [_Total.apply(loss, whole) for loss, whole in zip(losses, sums, strict=True)]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the parameters' gradients; one that no process has stays None."""
        if self.size == 1:
            return
        all_parameters = list(parameters)
        mine = [p.grad if p.grad is not None else torch.zeros_like(p) for p in all_parameters]
        have = mine[0].new_tensor([p.grad is not None for p in all_parameters])
        anyone_has, *sums = self.sum([have, *mine])
        for parameter, gradient, whole, anyone in zip(
            all_parameters, mine, sums, anyone_has.tolist(), strict=True
        ):
            parameter.grad = gradient.copy_(whole) if anyone else None

    def max(self, value: float) -> float:
        """Return the largest value of any process."""
        if self.size == 1:
            return value
        found = torch.tensor(value, dtype=torch.double)
        with _mourning():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return float(found)

    def any(self, flag: bool) -> bool:
        """Return whether `flag` holds in any process."""
        return bool(self.max(flag))

    def of_first(self, values: Sequence[float]) -> list[float]:
        """Return the first process's values; the others pass as many, which are not used."""
        found = torch.tensor(values, dtype=torch.double)
        if self.size > 1:
            with _mourning():
                dist.broadcast(found, 0)
        return found.tolist()

    def copy_first(self, *modules: nn.Module) -> None:
        """Overwrite the modules' parameters and buffers with those of the first process."""
        if self.size == 1:
            return
        for module in modules:
            for tensor in module.state_dict().values():
                sent = tensor.contiguous()  # tensors in channels-last order cannot be sent
                with _mourning():
                    dist.broadcast(sent, 0)
                tensor.copy_(sent)

    @contextmanager
    def own_random_numbers(self) -> Iterator[None]:
        """Give each process random numbers of its own (for dropout); the common ones stay equal."""
        if self.size == 1:
            yield
            return
        gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(gpus):
            torch.manual_seed(int(torch.randint(2**31, ())) + self.rank)
            yield


@contextmanager
def join_world(device: str) -> Iterator[tuple[World, str]]:
    """Join the processes that torchrun, or another launcher with its variables, has started.

    Args:
        device: `auto`, `cpu` or `cuda`; among several processes each takes its own GPU.

    Yields:
        The world, of this process alone if no launcher started it, and this process's device.

    Raises:
        DeviceError: There are fewer GPUs than processes, or `device` is one certain GPU.
        SaliencyError: The processes cannot connect to each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(), device
        return
    found = find_device(device)
    if found.index is not None or found.type == "mps":
        raise DeviceError(
            f"`device` of {size} processes should be auto, cpu or cuda, each having a GPU of its "
            f"own. Found {device!r}."
        )
    if found.type == "cuda":
        found = find_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(found.index)
    # Values in main memory are sent by gloo, even if gradients are sent by NCCL.
    backend = "cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo"
    with _mourning():
        dist.init_process_group(backend, timeout=TIMEOUT)
    world = World(dist.get_rank(), size)
    yield world, str(found)
    # A process that left while the first still writes would count as failed, and the first would
    # be killed. After an error this is not reached: the others may be gone.
    world.any(False)
    dist.destroy_process_group()


class _Total(torch.autograd.Function):
    """The sum over processes as a value; gradients go to this process's part."""

    @staticmethod
    def forward(_ctx: Any, _part: Tensor, total: Tensor) -> Tensor:
        return total.clone()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


@contextmanager
def _mourning() -> Iterator[None]:
    """Turn the death of another process into an error of one line."""
    try:
        yield
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):  # wherever this process was meanwhile
            raise
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise SaliencyError(
            f"All processes of a run should live until its end. Found one gone: {reason}. "
            "Run the same command again; it continues from the last save."
        ) from error
