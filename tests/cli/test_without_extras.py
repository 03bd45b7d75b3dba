"""A plain install can do everything but training; other verbs say in one line what to install."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.checkpoint import released_weights

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "data" / "recipes" / "smoke.toml"
STUDY = ROOT / "data" / "recipes" / "studies" / "guidance.toml"
ABSENT_TORCH = ("torch", "torchvision", "timm", "triton")
CODE = """
import sys
from importlib.machinery import PathFinder

absent, find = sys.argv.pop(1).split(","), PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] in absent else find(name, *rest)
)
from {main} import main

main()
"""


def run(absent, *arguments, main="saliency.cli"):
    """Run a command in a process in which the packages `absent` look as if not installed."""
    return subprocess.run(
        [sys.executable, "-c", CODE.format(main=main), ",".join(absent), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of thirty small photos with a table of ratings."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for number in range(30):
        pixels = noise.integers(0, 8 * (number + 1), (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,{1 + number % 5}\n" for number in range(30))
    (folder / "ratings.csv").write_text(f"file,score\n{rows}")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "predict {photos}/0.png -o {out} --report --crop 1:1",
        "rank {photos}/0.png {photos}/1.png",
        "crop {photos}/0.png --aspect 1:1 -o {out}",
        "compare {photos}/0.png {photos}/1.png -o {out}/moved.png",
        "regions {photos}/0.png --box 1,1,20,20",
        "calibrate {photos}/ratings.csv -o {out}/mine.json",
        "info",
        "info --json",
        pytest.param(
            "bench --photo-size 0.05 --batch-size 1 --seconds 0.01", marks=pytest.mark.slow
        ),
    ],
    ids=lambda arguments: arguments.split()[0],
)
def test_without_pytorch_photos_are_predicted(arguments, photos, tmp_path):
    ended = run(ABSENT_TORCH, *arguments.format(photos=photos, out=tmp_path).split())
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ("predict {photos} -o {out} --backend torch", "torch"),
        ("predict {photos} -o {out} --device cuda", "torch"),
        ("predict {photos} -o {out} --device mps", "torch"),
        ("predict {photos} -o {out} --weights {plain}", "torch"),
        ("export", "export"),
        (f"train {RECIPE} -o {{out}}", "train"),
        (f"evaluate {RECIPE}", "train"),
        (f"data pack {RECIPE} -o {{out}}", "train"),
        (f"experiment ablation {STUDY} -o {{out}}", "train"),
        ("experiment gradnorm-toy -o {out}", "train"),
    ],
)
def test_without_pytorch_what_needs_it_is_a_line_with_the_command(
    arguments, extra, photos, tmp_path
):
    plain = tmp_path / "plain.safetensors"
    plain.write_bytes(released_weights().read_bytes())
    filled = arguments.format(photos=photos, out=tmp_path / "out", plain=plain)
    assert_names_extra(run(ABSENT_TORCH, *filled.split()), extra)


@pytest.mark.parametrize(
    ("absent", "arguments", "extra"),
    [
        ("sklearn", "calibrate {photos}/ratings.csv", "calibrate"),
        ("pyarrow", "predict {photos} --format parquet", "parquet"),
        ("ray", "predict {photos} --engine ray", "ray"),
        ("onnx", "export", "export"),
        ("albumentations", f"train {RECIPE} -o run", "train"),
        ("tensorboard", f"train {RECIPE} -o run", "train"),
        ("scipy", f"evaluate {RECIPE}", "train"),
        ("timm", "predict {photos} --backend torch", "torch"),
    ],
)
def test_without_an_extra_its_verb_is_a_line_with_the_command(absent, arguments, extra, photos):
    assert_names_extra(run([absent], *arguments.format(photos=photos).split()), extra)


@pytest.mark.parametrize("absent", ["uvicorn", "pydantic_settings"])
def test_without_its_extra_the_service_is_a_line_with_the_command(absent):
    assert_names_extra(run([absent], main="service.cli"), "serve")


def test_the_core_has_no_pytorch_and_every_door_that_needs_it_brings_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert not [d for d in project["dependencies"] if d.startswith(("torch", "timm"))]
    assert {d.split(">")[0] for d in extras["torch"]} == {"timm", "torch", "torchvision"}
    for door in ("train", "export"):
        assert "aesthetic-saliency[torch]" in extras[door]
    for door in ("serve", "demo"):
        assert "aesthetic-saliency[heic]" in extras[door]


def assert_names_extra(ended, extra):
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert f"pip install 'aesthetic-saliency[{extra}]'" in ended.stderr
