"""The page of a study's findings, also if there are few."""

import json
from dataclasses import replace

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
    assert "6 of 22 runs are finished" in page_of(Study.load(study_path), results, tmp_path)


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


def test_arms_of_different_cost_are_drawn_against_it(study_path, results, tmp_path):
    def page(flops):
        costly = [replace(r, flops=flops[r.arm], steps=10) for r in results]
        return page_of(Study.load(study_path), costly, tmp_path)

    both = page({"saliency_only": 10**9, "guided": 3 * 10**9})
    assert "Saliency against cost" in both
    assert "<td>3.00</td><td>3.00</td>" in both  # GFLOP, and training relative to the first arm
    assert "against cost" not in page({"saliency_only": 10**9, "guided": 10**9})


def test_what_a_scheme_learned_is_shown(study_path, results, tmp_path):
    learned = {"stitches": [[0.91234, 0.1], [0.1, 0.9]]}
    page = page_of(Study.load(study_path), [replace(r, learned=learned) for r in results], tmp_path)
    assert "[0.912, 0.1]" in page
    assert "What was learned" not in page_of(Study.load(study_path), results, tmp_path)


def test_the_front_is_of_repetitions_that_all_arms_have(study_path):
    """Folds differ in how hard they are, and an arm may have seen the easy one alone."""
    study = Study.load(study_path)
    runs = [result("guided", r, cc, scores=True) for r, cc in ((0, 0.6), (1, 0.9))]
    ahead = [*runs, result("gate", 0, 0.7, scores=True)]
    gate, guided = (replace_scores(ahead, arm) for arm in ("gate", "guided"))
    assert "gate" in find(study, [*guided, *gate]).front
    apart = [*guided[1:], *gate]
    assert find(study, apart).front == []


def replace_scores(results, arm):
    """Return an arm's results with scores that rank as the ratings do, so that CC decides."""
    found = []
    for run in results:
        if run.arm == arm:
            measures = replace(run.sets["drawn"], scores=list(run.sets["drawn"].ratings))
            found.append(replace(run, sets={"drawn": measures}))
    return found
