import pytest

from saliency.bench.run import find_ratios
from saliency.bench.timing import Label


def ratios(timings, cores=2):
    return {ratio.name: ratio for ratio in find_ratios(timings, cores)}


def test_ratio_is_within_rounds():
    # The second round is ten times slower for all: the ratio stays.
    found = ratios(
        {
            Label("forward", "eager", batch_size=1): (10, 100, 10),
            Label("forward", "onnx", batch_size=1): (4, 40, 4),
        }
    )

    [ratio] = found.values()
    assert ratio.name == "forward onnx, batch 1 / eager"
    assert ratio.value == ratio.low == ratio.high == pytest.approx(0.4)


def test_decoding_is_held_against_the_fastest_of_its_kind():
    stages = {
        "bare whole pillow": 30,
        "bare whole opencv": 20,
        "bare scaled pillow": 8,
        "bare scaled opencv": 5,
        "decode": 40,
        "prepare": 10,
    }
    timings = {Label(s, megapixels=2, one_thread=True): (ms, ms) for s, ms in stages.items()}
    timings[Label("bare whole opencv", megapixels=1, one_thread=True)] = (1, 1)
    timings[Label("prepare", "onnx", 2, one_thread=True)] = (99, 99)

    found = {name: ratio.value for name, ratio in ratios(timings).items()}

    assert found == {"decode 2 MP / bare decode": 2, "prepare 2 MP / bare decode": 2}


@pytest.mark.parametrize(("on_gpu", "least_ms"), [(False, (4 + 15 + 1) / 2), (True, 15)])
def test_ceiling_is_what_the_cores_or_the_gpu_need_at_least(on_gpu, least_ms):
    timings = {
        Label("prepare", "onnx", 2, one_thread=True): (4, 4),
        Label("forward", "onnx", 2, one_thread=not on_gpu): (15, 15),
        Label("to_prediction", "onnx", 2, one_thread=True): (1, 1),
        Label("predict_many", "onnx", 2): (30, 30),
    }

    [ratio] = ratios(timings).values()

    assert ratio.name == "predict_many onnx, 2 MP / ceiling"
    assert ratio.value == pytest.approx(30 / least_ms)


def test_predict_many_is_held_against_that_of_torch():
    timings = {}
    for backend, rounds in (("onnx", (15, 150)), ("torch", (30, 300))):
        timings[Label("predict_many", backend, 2)] = rounds
        for stage in ("prepare", "forward", "to_prediction"):
            timings[Label(stage, backend, 2, one_thread=True)] = (1, 1)

    ratio = ratios(timings)["predict_many onnx, 2 MP / torch"]

    assert ratio.value == ratio.high == pytest.approx(0.5)
