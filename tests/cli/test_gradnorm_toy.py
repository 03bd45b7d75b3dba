"""The toy experiment from the command line."""

import json

import pytest


@pytest.mark.slow
def test_a_quick_run_prints_findings_and_names_its_files(saliency_process, tmp_path):
    ended = saliency_process("experiment", "gradnorm-toy", "-o", tmp_path / "toy", "--quick")
    assert ended.code == 0, ended.err
    results, report = ended.out.splitlines()[-2:]
    assert json.loads((tmp_path / "toy/results.json").read_text())["seeds"] == 1
    assert (results, report) == (
        str(tmp_path / "toy/results.json"),
        str(tmp_path / "toy/report.html"),
    )
    assert "2 tasks: GradNorm ends below equal weights." in ended.out


def test_an_unknown_law_is_an_error_that_lists_the_laws(saliency, tmp_path):
    ended = saliency("experiment", "gradnorm-toy", "-o", tmp_path, "--law", "uniform")
    assert ended.code == 2
    assert "deviations" in ended.err
