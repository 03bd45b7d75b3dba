import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import coffee

from saliency.cli.data_pack import SIZE, to_size
from saliency.curation import pack as packing
from saliency.errors import ConfigError

VERBS = ("check", "pack", "describe")


@pytest.fixture
def data(tmp_path):
    """A folder with the set `own`: six rated photos."""
    images = tmp_path / "data/own/images"
    images.mkdir(parents=True)
    for number in range(6):
        photo = Image.fromarray(coffee()).crop((number, 0, 500, 400))
        photo.save(images / f"{number}.jpg")
    rows = [f"{number}.jpg,{number + 1}" for number in range(6)]
    (tmp_path / "data/own/ratings.csv").write_text("\n".join(["file,score", *rows]) + "\n")
    return tmp_path / "data"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('[data]\nsets = [{ name = "own", layout = "ratings" }]\n')
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example_to_copy(saliency, verb):
    ended = saliency("data", verb, "--help")
    assert ended.code == 0
    assert f"Example: saliency data {verb}" in " ".join(ended.out.split())


def test_a_whole_copy_is_checked_with_exit_code_0(saliency, data):
    ended = saliency("data", "check", "--ratings", data / "own/ratings.csv")
    assert ended.code == 0
    assert "damaged images" in ended.out


def test_a_problem_is_named_in_table_and_report_with_exit_code_1(saliency, data, tmp_path):
    (data / "own/images/3.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    report = tmp_path / "check.json"
    ended = saliency("data", "check", "--ratings", data / "own/ratings.csv", "--report", report)
    assert ended.code == 1
    assert "3.jpg" in "".join(ended.out.split())
    findings = json.loads(report.read_text())["sets"][0]["findings"]
    damaged = next(f for f in findings if f["title"] == "damaged images")
    assert damaged["found"] == 1
    assert "3.jpg cannot be decoded" in damaged["names"][0]


def test_a_folder_of_another_kind_does_not_keep_others_from_being_checked(saliency, data, tmp_path):
    report = tmp_path / "check.json"
    ratings = data / "own/ratings.csv"
    ended = saliency("data", "check", "--ava", data, "--ratings", ratings, "--report", report)
    assert ended.code == 1
    ava, own = json.loads(report.read_text())["sets"]
    assert (ava["ok"], own["ok"]) == (False, True)
    assert "has a file `AVA.txt`" in ava["findings"][0]["names"][0]


def test_nothing_to_check_is_wrong_usage(saliency):
    assert saliency("data", "check").code == 2


def test_pack_then_check_then_train_with_the_same_recipe(saliency, data, recipe, tmp_path):
    packed = tmp_path / "packed"
    ended = saliency("data", "pack", recipe, "--data", data, "-o", packed)
    assert ended.code == 0
    assert ended.out.startswith(f"{packed / 'own'}  6 images")
    assert saliency("data", "check", "--packed", packed / "own").code == 0
    ended = saliency(
        *("train", recipe, "--data", packed, "-o", tmp_path / "run", "-d", "cpu"),
        *("-s", "model.encoder=test_efficientnet", "-s", "model.pretrained=false"),
        *("-s", "model.saliency=false", "-s", "model.guidance=false", "-s", "train.epochs=1"),
        *("-s", "data.height=64", "-s", "data.width=96"),
        *("-s", f"data.sets.own.split={split_of(tmp_path)}"),
    )
    assert ended.code == 0, ended.err
    assert (tmp_path / "run/best.safetensors").is_file()


def split_of(folder):
    path = folder / "split.csv"
    parts = ("train", "train", "train", "train", "val", "val")
    rows = [f"{number}.jpg,{part}\n" for number, part in enumerate(parts)]
    path.write_text("image,part\n" + "".join(rows))
    return path


def test_photos_without_labels_that_are_not_packed_are_named(saliency, data, recipe, tmp_path):
    (data / "unlabelled/images").mkdir(parents=True)
    recipe.write_text(recipe.read_text() + 'photos = [{ name = "unlabelled" }]\n')
    packed = tmp_path / "packed"
    ended = saliency("data", "pack", recipe, "--data", data, "-o", packed)
    assert ended.code == 0
    named = f"not packed: {data / 'unlabelled'}, photos without labels; copy them to {packed}"
    assert named in ended.err


@pytest.mark.parametrize("absolute", [False, True], ids=["-o is --data", "path is absolute"])
def test_a_set_is_not_packed_into_its_own_folder(saliency, data, recipe, tmp_path, absolute):
    if absolute:
        recipe.write_text(recipe.read_text().replace("name =", f'path = "{data / "own"}", name ='))
    before = sorted((data / "own").iterdir())
    output = tmp_path / "packed" if absolute else data
    ended = saliency("data", "pack", recipe, "--data", data, "-o", output)
    assert ended.code == 1
    assert f"Found {data / 'own'}" in ended.err
    assert sorted((data / "own").iterdir()) == before


def test_an_image_that_cannot_be_packed_is_named_with_exit_code_1(saliency, data, recipe, tmp_path):
    (data / "own/images/3.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    ended = saliency("data", "pack", recipe, "--data", data, "-o", tmp_path / "packed")
    assert ended.code == 1
    assert "5 images" in ended.out
    assert "skipped: 3.jpg:" in ended.err
    assert "1 images could not be read" in ended.err


def test_a_set_that_the_recipe_lacks_is_one_line(saliency, data, recipe, tmp_path):
    ended = saliency("data", "pack", recipe, "--data", data, "-o", tmp_path, "--only", "ava")
    assert ended.code == 1
    assert ended.err == "error: `--only` should be one of own. Found 'ava'.\n"


def test_sizes_are_height_by_width():
    assert to_size("288x384") == (288, 384)
    assert to_size(SIZE) == packing.SIZE


@pytest.mark.parametrize("text", ["384", "384x", "0x4", "4x-4", "384X512", "axb"])
def test_another_size_is_an_error_that_shows_one(text):
    with pytest.raises(ConfigError, match=f"384x512. Found '{text}'"):
        to_size(text)


def test_describe_prints_a_row_a_set_and_writes_the_page(saliency, data, tmp_path):
    page = tmp_path / "sets.html"
    ended = saliency("data", "describe", data / "own", "-o", page)
    assert ended.code == 0
    row = next(line for line in ended.out.splitlines() if "own" in line)
    assert (
        "4.75" in row
    )  # the mean of 1..6 is 3.5; on 1..7 that is 5/12 of the way, as 4.75 of 1..10
    assert "<svg" in page.read_text()


@pytest.mark.slow
def test_ctrl_c_ends_in_one_line_with_130(data, recipe, tmp_path):
    images = data / "own/images"
    for number in range(6, 4000):
        (images / f"{number}.jpg").hardlink_to(images / f"{number % 6}.jpg")
    rows = [f"{number}.jpg,{number % 7 + 1}" for number in range(4000)]
    (data / "own/ratings.csv").write_text("\n".join(["file,score", *rows]) + "\n")
    out = tmp_path / "packed"
    running = subprocess.Popen(
        [sys.executable, "-m", "saliency", "data", "pack", recipe, "--data", data, "-o", out],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(out.glob("own/.*.tmp")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert printed == ""
    assert errors == "stopped; run the same command again to continue\n"
    assert not list(out.glob("own/.*.tmp"))


def test_the_help_of_data_does_not_wait_for_torch():
    program = (
        "import sys; sys.argv = ['saliency', 'data', '--help']\n"
        "from saliency.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'scipy', 'albumentations'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
