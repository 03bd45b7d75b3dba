import pytest

from saliency.bench.limits import Work
from saliency.bench.ratios import forward_ratios, photo_ratios, throughput_ratios, to_growth
from saliency.bench.results import MEGAPIXELS, PHOTOS
from saliency.bench.timing import Measurement, Timing


def timing(*wall_ms, cpu_ms=None):
    return Timing(wall_ms, cpu_ms or wall_ms, by_cpu=cpu_ms is not None)


def test_ratio_is_within_rounds():
    # The second round is ten times slower for all: the ratio stays.
    measurements = [
        Measurement("forward", timing(10, 100, 10), backend="eager", batch_size=1),
        Measurement("forward", timing(4, 40, 4), backend="onnx", batch_size=1),
    ]

    [ratio] = forward_ratios(measurements, Work(1, 1, 1), {})

    assert ratio.name == "forward onnx, batch 1 / eager"
    assert ratio.value == ratio.low == ratio.high == pytest.approx(0.4)


@pytest.mark.parametrize(("copy_ms", "roofline_ms"), [(1, 20), (50, 50)])
def test_roofline_is_the_longer_of_arithmetic_and_memory(copy_ms, roofline_ms):
    measurements = [
        Measurement("matmul", timing(10, 40)),
        Measurement("convolution", timing(40, 10)),  # now one is faster, now the other
        Measurement("copy", timing(copy_ms, copy_ms)),
        Measurement("forward", timing(100, 100), backend="torch", batch_size=1),
    ]
    work = Work(flops=2000, weight_bytes=300, activation_bytes=700)

    [ratio] = forward_ratios(
        measurements, work, {"convolution": 1000, "matmul": 1000, "copy": 1000}
    )

    assert ratio.name == "forward torch, batch 1 / roofline"
    assert ratio.value == pytest.approx(100 / roofline_ms)


def test_decoding_is_held_against_the_fastest_of_its_kind():
    of_two = {"megapixels": 2}
    measurements = [
        Measurement("decode_pillow", timing(30, 30), **of_two),
        Measurement("decode_opencv", timing(20, 20), **of_two),
        Measurement("decode_pillow_scaled", timing(8, 8), **of_two),
        Measurement("decode_opencv_scaled", timing(5, 5), **of_two),
        Measurement("decode", timing(40, 40), **of_two),
        Measurement("prepare", timing(99, 99), **of_two, backend="onnx"),
        Measurement("prepare", timing(10, 10), **of_two),
    ]

    ratios = {ratio.name: ratio.value for ratio in photo_ratios(measurements, 2)}

    assert ratios == {"decode 2 MP / bare decode": 2, "prepare 2 MP / bare decode": 2}


def test_ceiling_is_the_cores_over_their_milliseconds():
    labels = {"backend": "onnx", "megapixels": 2}
    measurements = [
        # By the clock a step may have waited; what counts is what it computed.
        Measurement("prepare", timing(99, 99, cpu_ms=(4, 4)), **labels, one_thread=True),
        Measurement("forward", timing(99, 99, cpu_ms=(15, 15)), **labels, one_thread=True),
        Measurement("to_prediction", timing(99, 99, cpu_ms=(1, 1)), **labels, one_thread=True),
        Measurement("predict_many", timing(15, 15), **labels),
    ]

    [on_cpu] = throughput_ratios(measurements, "onnx", 2, cores=2, on_gpu=False)
    [on_gpu] = throughput_ratios(measurements, "onnx", 2, cores=2, on_gpu=True)

    assert on_cpu.value == pytest.approx(15 / (20 / 2))
    assert on_gpu.value == pytest.approx(15 / 99)


def test_predict_many_is_held_against_that_of_torch():
    measurements = [
        Measurement("predict_many", timing(15, 150), backend="onnx", megapixels=2),
        Measurement("predict_many", timing(30, 300), backend="torch", megapixels=2),
    ]

    [ratio] = throughput_ratios(measurements, "onnx", 2, cores=2, on_gpu=False)

    assert ratio.name == "predict_many onnx, 2 MP / torch"
    assert ratio.value == ratio.high == pytest.approx(0.5)


@pytest.mark.parametrize(("power", "slope"), [(0, 0), (1, 1), (2, 2)])
def test_slope_is_the_power(power, slope):
    points = [(x, timing(3 * x**power, 5 * x**power)) for x in (0.5, 2, 8)]

    growth = to_growth("decode", MEGAPIXELS, points)

    assert growth is not None
    assert growth.slope == pytest.approx(slope)
    assert growth.last_slope == pytest.approx(slope)


def test_growth_with_photos_is_of_all_photos_together():
    growth = to_growth("predict_many", PHOTOS, [(1, timing(6, 6)), (4, timing(6, 6))])

    assert growth is not None
    assert growth.ms == (6, 24)
    assert growth.slope == pytest.approx(1)


def test_last_slope_is_that_of_the_two_largest():
    growth = to_growth(
        "density", MEGAPIXELS, [(1, timing(1, 1)), (2, timing(9, 9)), (4, timing(9, 9))]
    )

    assert growth is not None
    assert growth.last_slope == pytest.approx(0)
    assert growth.slope > 1


def test_one_point_does_not_grow():
    assert to_growth("decode", MEGAPIXELS, [(1, timing(6, 6))]) is None
