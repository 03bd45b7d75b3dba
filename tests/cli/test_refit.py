"""`saliency refit` writes a new checkpoint and does not change the given one."""

from saliency.checkpoint import load_checkpoint, to_sha256


def test_the_read_out_is_written_anew(saliency, tiny_toml, tiny_weights, tmp_path):
    before = to_sha256(tiny_weights)
    output = tmp_path / "refitted.safetensors"
    ended = saliency("refit", tiny_toml, "-w", tiny_weights, "-o", output, "-d", "cpu")
    assert (ended.code, ended.out.strip()) == (0, str(output))
    assert to_sha256(tiny_weights) == before
    one, other = (load_checkpoint(p).network.aesthetics for p in (tiny_weights, output))
    assert not one.logits.weight.equal(other.logits.weight)
    assert one.embedding.weight.equal(other.embedding.weight)


def test_an_absent_checkpoint_is_named(saliency, tiny_toml, tmp_path):
    ended = saliency("refit", tiny_toml, "-w", tmp_path / "absent", "-o", tmp_path / "new")
    assert ended.code == 1
    assert "absent" in ended.err
    assert not (tmp_path / "new").exists()


def test_the_given_checkpoint_is_not_replaced(saliency, tiny_toml, tiny_weights):
    before = to_sha256(tiny_weights)
    ended = saliency("refit", tiny_toml, "-w", tiny_weights, "-o", tiny_weights, "-d", "cpu")
    assert ended.code == 2
    assert to_sha256(tiny_weights) == before
