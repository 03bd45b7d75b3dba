"""Errors of `--engine ray` before Ray starts; its work is tested in tests/batch."""

import sys


def test_watching_goes_with_the_local_engine_alone(saliency, tmp_path):
    ended = saliency("predict", tmp_path, "--watch", "--engine", "ray")
    assert ended.code == 1
    assert ended.err == "error: `--watch` works with `--engine local` alone. Found ray.\n"


def test_without_the_extra_it_says_how_to_get_it(saliency, tmp_path, monkeypatch):
    (tmp_path / "photo.jpg").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "saliency.batch.ray_engine", None)  # as if it failed to import
    ended = saliency("predict", tmp_path, "-o", tmp_path / "out", "--engine", "ray")
    assert ended.code == 1
    assert "pip install 'aesthetic-saliency[ray]'" in ended.err
    assert not (tmp_path / "out").exists()
