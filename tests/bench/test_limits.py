from io import BytesIO

import numpy as np
import pytest
import torch
from torch import nn

from saliency.bench.limits import (
    bare_decodes,
    convolve,
    copy_memory,
    count_work,
    decode_with_pillow,
    find_reduction,
    multiply_matrices,
)
from saliency.bench.photos import make_photo
from saliency.images import read_image

CPU = torch.device("cpu")


def test_work_of_a_convolution_is_counted_by_hand():
    network = nn.Conv2d(3, 8, 3, padding=1, bias=False)

    work = count_work(network, (16, 32))

    assert work.flops == 2 * (3 * 3 * 3) * 8 * 16 * 32
    assert work.weight_bytes == 4 * 3 * 3 * 3 * 8
    assert work.activation_bytes == 2 * 4 * 8 * 16 * 32


def test_weights_are_read_once_a_batch():
    work = count_work(nn.Conv2d(3, 8, 1), (16, 32))

    assert work.bytes_of(1) - work.bytes_of(4) == pytest.approx(work.weight_bytes * 3 / 4)


def test_counting_leaves_no_hooks():
    network = nn.Conv2d(3, 8, 1)

    assert count_work(network, (16, 32)) == count_work(network, (16, 32))


@pytest.mark.parametrize(
    ("size", "factor"),
    [((480, 640), 1), ((576, 768), 2), ((1224, 1632), 4), ((3000, 4000), 8), ((90, 90), 1)],
)
def test_reduction_keeps_the_pixels_that_are_needed(size, factor):
    assert find_reduction(size, 288) == factor


def test_bare_decodes_are_of_the_same_picture():
    photo = make_photo(2)
    whole = read_image(photo.jpeg).mean()

    found = {figure.stage: figure.call() for figure in bare_decodes(photo, 288)}

    assert len(found) == 4
    for pixels in found.values():
        assert min(pixels.shape[:2]) >= 288
        assert pixels.mean() == pytest.approx(whole, abs=2)
    assert found["decode_opencv_scaled"].shape == found["decode_pillow_scaled"].shape


def test_small_photo_has_no_scaled_decode():
    names = [figure.stage for figure in bare_decodes(make_photo(0.3), 288)]

    assert names == ["decode_pillow", "decode_opencv"]


def test_bare_decode_is_what_read_image_reads():
    jpeg = make_photo(0.3).jpeg

    assert np.array_equal(decode_with_pillow(jpeg), read_image(BytesIO(jpeg).getvalue()))


def test_amounts_are_those_of_a_call():
    matmul, copy = multiply_matrices(CPU, torch.float32), copy_memory(CPU)
    convolution = convolve(CPU, torch.float32)
    side = round((matmul.amount / 2) ** (1 / 3))

    assert 2 * side**3 == matmul.amount
    assert copy.amount == 2 * 2**27
    assert convolution.amount == 2 * 256 * 256 * 9 * 96 * 96
    for speed in (matmul, copy, convolution):
        speed.figure.call()
