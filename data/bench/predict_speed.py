"""Measure two speeds of `saliency predict`: python data/bench/predict_speed.py folder|start.

`folder` compares the speed for photos of 12 megapixels with the best that the cores could do.
`start` compares `saliency predict` on one photo with `import numpy, cv2` and the loading of the
network, in turns. Run them while the machine does nothing else. `saliency bench` measures the rest.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PHOTOS = 48
MEGAPIXELS_12 = (4000, 3000)
OVERLAY_PX, MAP_PX = 640, 384

START = """
import sys, time
import numpy, cv2
began = time.perf_counter()
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 3, 1
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(time.perf_counter() - began)
"""


def measure_folder(rounds: int) -> None:
    """Print the speed for a folder, as a share of cores / core-seconds of a photo's stages."""
    from saliency.allocator import keep_freed_memory
    from saliency.batch import Journal, Pictures, find_files, name_photos, predict_files
    from saliency.batch.pictures import _encode_jpeg
    from saliency.devices import count_cores
    from saliency.predictor import Predictor, to_prediction
    from saliency.records import to_record
    from saliency.rendering import encode_png, to_overlay, to_saliency_map

    keep_freed_memory()
    pictures = Pictures("jpg", OVERLAY_PX, "png16", MAP_PX)
    cores = count_cores()
    predictor = Predictor.load(device="cpu", threads=cores)

    def alone(photo: Path) -> dict[str, float]:
        took = {}

        def timed(name: str, call: Callable[[], T]) -> T:
            began = time.perf_counter()
            result = call()
            took[name] = time.perf_counter() - began
            return result

        prepared = timed("prepare", lambda: predictor.prepare(photo, picture_side_px=OVERLAY_PX))
        output = timed("forward", lambda: predictor.infer([prepared], on_all_cores=False))
        prediction = timed("to_prediction", lambda: to_prediction(output, 0, prepared.size))

        def render() -> None:
            to_record("", prediction, prepared.measured)
            density = prediction.density_within(OVERLAY_PX)
            _encode_jpeg(to_overlay(prepared.image, density, max_side_px=OVERLAY_PX))
            encode_png(to_saliency_map(prediction.density_within(MAP_PX), bits=16))

        timed("render", render)
        return took

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_photos(folder / "photos")
        found = list(find_files([str(folder / "photos")]))
        paths = sorted((folder / "photos").iterdir())

        def sum_alone() -> float:
            stages = [alone(path) for path in paths]
            means = {s: statistics.fmean(took[s] for took in stages) for s in stages[0]}
            print("  " + ", ".join(f"{s} {1e3 * took:.1f}" for s, took in means.items()), "ms")
            return sum(means.values())

        alone(paths[0])
        reached = []
        before = sum_alone()
        for _ in range(rounds):
            began = time.perf_counter(), time.process_time()
            with Journal(folder / "results", "speed", resume=False) as journal:
                photos = name_photos(found, journal.owners())
                for outcome in predict_files(predictor, photos, journal, pictures, workers=cores):
                    if outcome.entry.record is None:
                        sys.exit(outcome.entry.error)
            wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
            shutil.rmtree(folder / "results")
            after = sum_alone()
            ceiling = (before + after) / 2
            before = after
            reached.append((ceiling * PHOTOS / cores / wall, ceiling * PHOTOS / cpu))
            print(f"{reached[-1][0]:.2f} of the ceiling, {reached[-1][1]:.2f} by processor time")
        print("median", *(f"{_median(one[i] for one in reached):.2f}" for i in (0, 1)))


def measure_start(rounds: int, other: Path | None) -> None:
    """Print the time that `saliency predict` takes to start, in this tree and another."""
    with tempfile.TemporaryDirectory() as name:
        photo = Path(name) / "photo.jpg"
        _write_photo(photo, 0, (451, 300))
        graph = ROOT / "weights/aesthetic-saliency.288x384.onnx"
        verb = ["-m", "saliency", "predict", str(photo), "-o", f"{name}/results", "--no-resume"]
        calls = {
            "import numpy, cv2": (ROOT, ["-c", "import numpy, cv2"]),
            "import and load": (ROOT, ["-c", START, str(graph)]),
            "saliency predict": (ROOT, verb),
            "saliency --help": (ROOT, ["-m", "saliency", "--help"]),
        }
        if other is not None:
            calls["the other's predict"] = (other, verb)
        took: dict[str, list[float]] = {call: [] for call in calls}
        for _ in range(rounds):
            for call, (tree, words) in calls.items():
                began = time.perf_counter()
                ended = subprocess.run(  # noqa: S603
                    [sys.executable, *words], cwd=tree, capture_output=True, check=True
                )
                wall = time.perf_counter() - began
                took[call].append(float(ended.stdout) if call == "import and load" else wall)
    medians = {call: _median(times) for call, times in took.items()}
    for call, median in medians.items():
        print(f"{call:20s} {1e3 * median:.0f} ms")
    allowed = 2.5 * medians["import numpy, cv2"] + medians["import and load"]
    for call in ("saliency predict", "the other's predict"):
        if call in medians:
            print(f"{call}: {medians[call] / allowed:.2f} of {1e3 * allowed:.0f} ms")


def _write_photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(PHOTOS):
        _write_photo(folder / f"{number:02}.jpg", number, MEGAPIXELS_12)


def _write_photo(path: Path, number: int, size: tuple[int, int]) -> None:
    """Write a photo of (width, height) `size` from scikit-image, with grain of 4 levels."""
    from skimage import data

    source = (data.chelsea, data.coffee, data.rocket, data.astronaut)[number % 4]()
    photo = cv2.resize(source, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    photo += np.random.default_rng(number).integers(-4, 5, (*photo.shape[:2], 1), dtype=np.int16)
    pixels = np.clip(photo, 0, 255).astype(np.uint8)[:, :, ::-1]
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def main() -> None:
    """Run the measurement that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("folder", "start"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--other", type=Path, help="a source tree to compare with (start)")
    options = parser.parse_args()
    if options.what == "folder":
        measure_folder(options.rounds)
    else:
        measure_start(options.rounds, options.other)


if __name__ == "__main__":
    main()
