"""What nothing can beat: the barest decode of a JPEG, and the machine's arithmetic and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from saliency.bench.photos import BenchPhoto
from saliency.bench.timing import Figure

REDUCTIONS = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
MATRIX_SIDE, MATRIX_SIDE_GPU = 1536, 8192
CONVOLVED_CHANNELS = 256
CONVOLVED_SIDE, CONVOLVED_SIDE_GPU = 96, 512
COPIED_BYTES, COPIED_BYTES_GPU = 2**27, 2**30
"""More than processors keep in their caches."""


@dataclass(frozen=True)
class Work:
    """What the network does for one photo.

    Attributes:
        flops: Floating-point operations of convolutions and matrix products, two for each
            multiplication with its addition.
        weight_bytes: All weights, read once for a batch.
        activation_bytes: What convolutions and linear layers give, written once and read once, as
            if everything between them were computed in passing.
    """

    flops: int
    weight_bytes: int
    activation_bytes: int

    def bytes_of(self, batch_size: int) -> float:
        """Return the bytes moved for a photo in a batch."""
        return self.weight_bytes / batch_size + self.activation_bytes


def count_work(network: nn.Module, size: tuple[int, int], value_bytes: int = 4) -> Work:
    """Count what `network` does for a photo of (height, width) `size`.

    Args:
        network: In evaluation mode, on the CPU.
        size: Of its input.
        value_bytes: Of a weight and of an activation.
    """
    values = 0

    def count_values(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal values
        values += output.numel()

    layers = (nn.Conv2d, nn.Linear)
    hooks = [
        m.register_forward_hook(count_values) for m in network.modules() if isinstance(m, layers)
    ]
    counter = FlopCounterMode(display=False)
    try:
        with torch.inference_mode(), counter:
            network(torch.zeros(1, 3, *size))
    finally:
        for hook in hooks:
            hook.remove()
    weights = sum(parameter.numel() for parameter in network.parameters())
    return Work(int(counter.get_total_flops()), weights * value_bytes, 2 * values * value_bytes)


@dataclass(frozen=True)
class Speed:
    """A piece of work whose time tells how fast the machine is.

    Attributes:
        figure: What to time.
        amount: Floating-point operations or bytes of a call.
    """

    figure: Figure
    amount: int


def multiply_matrices(device: torch.device, dtype: torch.dtype) -> Speed:
    """Return a product of square matrices."""
    side = MATRIX_SIDE if device.type == "cpu" else MATRIX_SIDE_GPU
    # Not one value everywhere: a GPU multiplies that faster.
    factor = torch.rand(side, side, device=device).to(dtype)
    product = torch.empty_like(factor)

    def multiply() -> None:
        torch.mm(factor, factor, out=product)
        _wait_for(device)

    return Speed(Figure("matmul", multiply), 2 * side**3)


def convolve(device: torch.device, dtype: torch.dtype) -> Speed:
    """Return a wide 3x3 convolution, which on some processors is faster than a matrix product."""
    side = CONVOLVED_SIDE if device.type == "cpu" else CONVOLVED_SIDE_GPU
    channels = CONVOLVED_CHANNELS
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device, dtype=dtype)
    layer.requires_grad_(False).to(memory_format=torch.channels_last)
    image = torch.rand(1, channels, side, side, device=device).to(
        dtype, memory_format=torch.channels_last
    )

    def compute() -> None:
        layer(image)
        _wait_for(device)

    return Speed(Figure("convolution", compute), 2 * (3 * channels * side) ** 2)


def copy_memory(device: torch.device) -> Speed:
    """Return a copy of more than caches hold; its bytes count as read and as written."""
    count = COPIED_BYTES if device.type == "cpu" else COPIED_BYTES_GPU
    source = torch.ones(count // 4, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        _wait_for(device)

    return Speed(Figure("copy", copy), 2 * count)


def bare_decodes(photo: BenchPhoto, min_side_px: int) -> list[Figure]:
    """Return the ways to decode a photo with nothing around them.

    Args:
        photo: Its JPEG.
        min_side_px: A scaled decode keeps this many pixels of the shorter side at least.
    """
    encoded = np.frombuffer(photo.jpeg, np.uint8)
    reduction = find_reduction(photo.size, min_side_px)
    ways: dict[str, Callable[[], object]] = {
        "decode_pillow": lambda: decode_with_pillow(photo.jpeg),
        "decode_opencv": lambda: cv2.imdecode(encoded, cv2.IMREAD_COLOR),
    }
    if reduction > 1:
        ways["decode_pillow_scaled"] = lambda: decode_with_pillow(photo.jpeg, min_side_px)
        ways["decode_opencv_scaled"] = lambda: cv2.imdecode(encoded, REDUCTIONS[reduction])
    return [
        Figure(name, call, megapixels=photo.megapixels, one_thread=True)
        for name, call in ways.items()
    ]


def decode_with_pillow(jpeg: bytes, min_side_px: int | None = None) -> NDArray[np.uint8]:
    """Decode to (H, W, 3) uint8 RGB.

    Args:
        jpeg: The file.
        min_side_px: As for `bare_decodes`; None: whole.
    """
    image = JpegImageFile(BytesIO(jpeg))
    if min_side_px is not None:
        image.draft("RGB", (min_side_px, min_side_px))
    return np.asarray(image)


def find_reduction(size: tuple[int, int], min_side_px: int) -> int:
    """Return the largest factor of JPEG that leaves the shorter side `min_side_px` pixels."""
    return max((f for f in REDUCTIONS if min(size) >= f * min_side_px), default=1)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
