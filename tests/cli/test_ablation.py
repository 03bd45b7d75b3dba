"""`saliency experiment ablation`: a study is trained, printed, written and continued."""

import shutil

import pytest

pytestmark = pytest.mark.slow

STUDY = """
about = "Small"
base = "recipe.toml"
repetitions = 1
folds = [1]
[[arms]]
name = "alone"
about = "one task"
overrides = { "model.aesthetics" = false, "model.guidance" = false }
[[arms]]
name = "guided"
about = "both"
[[comparisons]]
question = "Does it help?"
arm = "guided"
against = "alone"
"""


def test_a_study_is_run_told_and_gone_on_with(saliency_process, tiny_toml, tmp_path):
    shutil.copy(tiny_toml, tmp_path / "recipe.toml")
    (tmp_path / "study.toml").write_text(STUDY)
    command = ("experiment", "ablation", tmp_path / "study.toml", "-o", tmp_path / "out")

    first = saliency_process(*command, "--arm", "alone")
    assert first.code == 0, first.err
    assert "not measured yet" in first.out

    second = saliency_process(*command)
    assert second.code == 0, second.err
    assert "1 of 2 runs are done" in second.err
    assert "Does it help?" in second.out
    assert "saliency:" in second.out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.html",
        "results.json",
        "runs",
        "runs.jsonl.xz",
    }

    wrong = saliency_process(*command, "--arm", "other")
    assert wrong.code == 1
    assert "Found 'other'" in wrong.err
