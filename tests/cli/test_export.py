import shutil

import pytest


@pytest.mark.slow
def test_the_files_are_written_beside_the_checkpoint_and_named(saliency, tiny_weights, tmp_path):
    weights = tmp_path / "own.safetensors"
    shutil.copy(tiny_weights, weights)
    ended = saliency("export", weights)
    assert ended.code == 0
    names = [line.split(" (")[0] for line in ended.out.splitlines()]
    assert names == [str(tmp_path / f"own.{size}.onnx") for size in ("64x96", "96x64")]
    assert sorted(map(str, tmp_path.glob("*.onnx"))) == names


def test_what_is_no_checkpoint_is_one_line(saliency, tmp_path):
    (tmp_path / "own.safetensors").write_bytes(b"nothing")
    ended = saliency("export", tmp_path / "own.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
