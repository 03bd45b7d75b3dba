import pytest
import torch

from saliency import __version__

VERBS = ("predict", "crop", "regions", "evaluate", "train", "info", "version", "experiment")


def test_without_a_verb_all_are_listed(saliency):
    ended = saliency()
    assert all(verb in ended.out + ended.err for verb in VERBS)


@pytest.mark.parametrize(
    "verb",
    [
        ("predict",),
        ("crop",),
        ("regions",),
        ("evaluate",),
        ("train",),
        ("info",),
        ("experiment", "beauty-ridge"),
        ("experiment", "gaussian-process"),
    ],
    ids=" ".join,
)
def test_help_shows_an_example_to_copy(saliency, verb):
    ended = saliency(*verb, "--help")
    assert ended.code == 0
    assert " ".join(["Example: saliency", *verb]) in " ".join(ended.out.split())


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_the_version_is_the_packages(saliency, asked):
    assert saliency(asked) == (0, f"{__version__}\n", "")


def test_an_unknown_verb_is_a_usage_error(saliency):
    assert saliency("look").code == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_one_line_on_stderr(saliency, tiny_weights, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    ended = saliency(
        "predict", tmp_path / "photo.png", "-d", "cuda", "-w", tiny_weights, "-o", tmp_path / "out"
    )
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert "cuda" in ended.err


@pytest.mark.parametrize(
    "verb", [("predict", "photo.png", "-w"), ("info",)], ids=["predict", "info"]
)
def test_missing_weights_are_one_line(saliency, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"")
    ended = saliency(*verb, "absent.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: The checkpoint should be a file. Found no absent")
    assert ended.err.count("\n") == 1


def test_what_the_system_refuses_is_one_line(saliency, tiny_weights, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    (tmp_path / "taken").write_text("a file where the folder should be")
    ended = saliency(
        "predict", tmp_path / "photo.png", "-w", tiny_weights, "-o", tmp_path / "taken"
    )
    assert ended.code == 1
    error = ended.err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "taken" in error
