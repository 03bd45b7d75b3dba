"""A page with what was found, also where little was."""

import json

import numpy as np
import pytest

from saliency.experiments.ablation.findings import find
from saliency.experiments.ablation.measure import RunResult, SetMeasures
from saliency.experiments.ablation.page import write_page
from saliency.experiments.ablation.study import Study


def result(arm: str, repetition: int, cc: float, *, scores: bool) -> RunResult:
    random = np.random.default_rng(repetition)
    images = [f"{i}.jpg" for i in range(20)]
    measures = SetMeasures(images, {"CC": list(cc + random.normal(0, 0.01, 20))})
    if scores:
        measures.scores.extend(random.normal(5, 1, 20))
        measures.ratings.extend(random.normal(5, 1, 20))
    train = {"share/saliency": 1.0, "cosine/saliency~aesthetics": -0.1}
    sets = {"drawn": measures}
    return RunResult(arm, repetition, 1, sets, train, {"saliency": 0.2}, 60.0, 10**6, "abc", {})


@pytest.fixture
def results():
    return [
        *(result("saliency_only", r, 0.70, scores=False) for r in range(3)),
        *(result("guided", r, 0.75, scores=True) for r in range(3)),
    ]


def page_of(study, results, folder) -> str:
    write_page(find(study, results), folder / "report.html")
    return (folder / "report.html").read_text()


def test_the_page_answers_the_question(study_path, results, tmp_path):
    page = page_of(Study.load(study_path), results, tmp_path)
    assert "Does the aesthetic task help?" in page
    assert "saliency: better (CC +0.0500" in page


def test_the_page_says_how_much_is_finished(study_path, results, tmp_path):
    assert "6 of 18 runs are finished" in page_of(Study.load(study_path), results, tmp_path)


def test_the_page_asks_for_nothing_from_elsewhere(study_path, results, tmp_path):
    page = page_of(Study.load(study_path), results, tmp_path)
    assert "src=" not in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg")


def test_one_run_is_enough_for_a_page(study_path, results, tmp_path):
    page = page_of(Study.load(study_path), results[:1], tmp_path)
    assert "not measured yet" in page


def test_findings_are_json(study_path, results, tmp_path):
    find(Study.load(study_path), results).save(tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())
    assert [arm["name"] for arm in found["arms"]] == ["saliency_only", "guided"]
    assert found["answers"][0]["differences"]["CC"]["value"] == pytest.approx(0.05)
