"""Small copies of data sets in their own layouts, of real photos."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from skimage.data import astronaut, chelsea, coffee, rocket

from saliency.fixations import to_density
from saliency.rendering import to_saliency_map
from saliency.types import Fixations

GAZE_FIELDS = [("location", "O"), ("timestamp", "O"), ("fixations", "O")]

WriteCopy = Callable[..., Path]


@cache
def photos() -> tuple[NDArray[np.uint8], ...]:
    return astronaut(), chelsea(), coffee(), rocket()


def to_photo(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a photo of (height, width); another number is another photo."""
    whole = photos()[number % 4]
    shift = number // 4 * 7
    return cv2.resize(whole[shift : 280 + shift, shift : 400 + shift], size[::-1])


def write_photo(path: Path, number: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_photo(number, size)).save(path, quality=95)


def to_points(number: int, size: tuple[int, int], count: int = 60) -> Fixations:
    """Return points that gather at two places."""
    rng = np.random.default_rng(number)
    centers = rng.uniform(0.25, 0.75, (2, 2))[rng.integers(2, size=count)]
    places = np.clip(centers + rng.normal(0, 0.06, (count, 2)), 0, 0.999)
    height, width = size
    return Fixations(
        np.float32(places[:, 0] * width),
        np.float32(places[:, 1] * height),
    )


def write_gaze(path: Path, viewers: Sequence[NDArray], size: tuple[int, int]) -> None:
    """Write one of SALICON's `.mat` files; points [x, y] count from 1."""
    gaze = np.empty((1, len(viewers)), dtype=GAZE_FIELDS)
    for index, points in enumerate(viewers):
        gaze[0, index] = (points.astype(np.float64), np.ones((len(points), 1)), points)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path,
        {"image": path.stem, "resolution": [list(size)], "gaze": gaze},
        do_compression=True,
    )


@pytest.fixture
def salicon_copy(tmp_path: Path) -> WriteCopy:
    """Return a function that writes `salicon`: 4 training and 2 validation images of 640x480."""

    def write(size: tuple[int, int] = (480, 640)) -> Path:
        root = tmp_path / "data" / "salicon"
        for number in range(6):
            part = "train" if number < 4 else "val"
            stem = f"COCO_{part}2014_{number:012}"
            write_photo(root / f"images/{part}/{stem}.jpg", number, size)
            points = to_points(number, size)
            pixels = np.stack([np.floor(points.xs), np.floor(points.ys)], axis=1) + 1
            viewers = [pixels[:20].astype(np.uint16), pixels[20:].astype(np.uint16)]
            write_gaze(root / f"fixations/{part}/{stem}.mat", viewers, size)
            (root / f"maps/{part}").mkdir(parents=True, exist_ok=True)
            density = to_saliency_map(
                to_density(points, size, sigma_px=30), bits=8
            )  # not from points
            Image.fromarray(density).save(root / f"maps/{part}/{stem}.png")
        return root

    return write


@pytest.fixture
def osie_copy(tmp_path: Path) -> WriteCopy:
    """Return a function that writes `osie`: images of 800x600, one upright, three viewers each."""

    def write(count: int = 6) -> Path:
        root = tmp_path / "data" / "osie"
        entries = np.empty((count, 1), object)
        for number in range(count):
            size = (800, 600) if number == 1 else (600, 800)
            write_photo(root / f"stimuli/{1001 + number}.jpg", number, size)
            points = to_points(number, size)
            viewers = np.empty((3, 1), object)
            for viewer in range(3):
                mine = slice(viewer * 20, viewer * 20 + 20)
                viewers[viewer, 0] = {
                    "fix_x": points.xs[None, mine],
                    "fix_y": points.ys[None, mine],
                    "fix_duration": np.full((1, 20), 200.0),
                }
            entries[number, 0] = {"img": f"{1001 + number}.jpg", "subjects": viewers}
        (root / "eye").mkdir()
        savemat(root / "eye/fixations.mat", {"fixations": entries})
        return root

    return write


@pytest.fixture
def ava_copy(tmp_path: Path) -> WriteCopy:
    """Return a function that writes `ava`: images of 640x427, the last four for testing."""

    def write(count: int = 12) -> Path:
        root = tmp_path / "data" / "ava"
        ids = range(101, 101 + count)
        rows = []
        for number, image_id in enumerate(ids):
            write_photo(root / f"images/{image_id}.jpg", number, (427, 640))
            votes = " ".join(str(1 + (number + vote) % 5) for vote in range(10))
            rows.append(f"{number + 1} {image_id} {votes} 1 22 1396\n")
        (root / "AVA.txt").write_text("".join(rows))
        lists = root / "aesthetics_image_lists"
        lists.mkdir()
        (lists / "generic_test.jpgl").write_text("".join(f"{i}\n" for i in ids[-4:]))
        (lists / "generic_ls_train.jpgl").write_text("".join(f"{i}\n" for i in ids[:4]))
        return root

    return write


@pytest.fixture
def ratings_copy(tmp_path: Path) -> WriteCopy:
    """Return a function that writes `oasis`: six images of 500x400 in two groups, rated 1..7."""

    def write() -> Path:
        root = tmp_path / "data" / "oasis"
        rows = ["file,group," + ",".join(f"count_{rating}" for rating in range(1, 8))]
        for number in range(6):
            write_photo(root / f"images/Photo {number}.jpg", number, (400, 500))
            counts = ",".join(str(3 + (number * rating) % 7) for rating in range(1, 8))
            rows.append(f"Photo {number}.jpg,group {number // 3},{counts}")
        (root / "ratings.csv").write_text("\n".join(rows) + "\n")
        return root

    return write
