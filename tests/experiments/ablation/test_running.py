"""Real small trainings: every kind of arm, continued studies, failures, changed values."""

import pytest

from saliency.errors import SaliencyError
from saliency.experiments.ablation.measure import RESULT, pack, unpack
from saliency.experiments.ablation.running import bring_in, finished, run_study
from saliency.experiments.ablation.study import Run, Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory, study_text):
    """Return a study and the folder where all its runs are done."""
    folder = tmp_path_factory.mktemp("study")
    study = study_text(folder)
    endings = list(run_study(study, folder / "out", None, jobs=2))
    return study, folder / "out", endings


def test_every_kind_of_arm_trains_and_is_measured(done):
    study, out, endings = done
    assert [(e.run.arm, e.error) for e in endings if e.error] == []
    assert [(r.arm, r.repetition) for r in finished(study, out)] == [
        (run.arm, run.repetition) for run in study.runs()
    ]


def test_arms_are_measured_on_what_they_have_heads_for(done):
    study, out, _ = done
    by_arm = {r.arm: r.sets["rated"] for r in finished(study, out)}
    assert by_arm["saliency_only"].scores == []
    assert by_arm["aesthetics_only"].maps == {}
    assert len(by_arm["guided"].scores) == len(by_arm["guided"].maps["CC"]) == 16


def test_a_repetition_measures_the_same_images_in_every_arm(done):
    study, out, _ = done
    images = {(r.repetition, tuple(r.sets["drawn"].images)) for r in finished(study, out)}
    assert len(images) == study.file.repetitions


def test_another_seed_is_another_run(done):
    study, out, _ = done
    first, second = (r for r in finished(study, out) if r.arm == "guided")
    assert first.sets["drawn"].maps["CC"] != second.sets["drawn"].maps["CC"]


def test_what_is_done_is_not_done_again(done):
    study, out, _ = done
    assert list(run_study(study, out, None)) == []


def test_an_arm_waits_for_the_one_that_it_needs(done):
    study, _, endings = done
    order = [(e.run.arm, e.run.repetition) for e in endings]
    for arm in study.file.arms:
        for needed in arm.needs():
            assert order.index((needed, 0)) < order.index((arm.name, 0))


def test_packed_results_are_not_run_again_elsewhere(done, tmp_path):
    study, out, _ = done
    pack(finished(study, out), tmp_path / "runs.jsonl.xz")
    bring_in(unpack(tmp_path / "runs.jsonl.xz"), tmp_path)
    assert finished(study, tmp_path) == finished(study, out)
    assert list(run_study(study, tmp_path, None)) == []


def test_a_foreign_file_is_no_packed_results(tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(SaliencyError, match=r"runs\.jsonl\.xz"):
        unpack(tmp_path / "other")


def test_results_of_other_values_are_refused(done, study_path):
    _, out, _ = done
    text = study_path.read_text()
    study_path.write_text(text.replace('"gate" }', '"gate", "train.epochs" = 2 }'))
    with pytest.raises(SaliencyError, match="other values"):
        finished(Study.load(study_path), out)


def test_a_failure_is_told_and_stops_only_those_that_need_it(study_path, tmp_path):
    text = study_path.read_text().replace("repetitions = 2", "repetitions = 1")
    study_path.write_text(
        text.replace(
            '"model.saliency" = false, ', '"model.saliency" = false, "model.encoder" = "none", '
        )
    )
    study = Study.load(study_path)
    wanted = ("aesthetics_only", "guided", "transfer")
    endings = {e.run.arm: e.error for e in run_study(study, tmp_path, None, arms=wanted)}
    assert "none" in endings["aesthetics_only"]
    assert endings["guided"] is None
    assert "transfer" not in endings
    assert "Traceback" in (Run("aesthetics_only", 0, 1).folder(tmp_path) / "log.txt").read_text()


def test_no_time_starts_nothing(study_path, tmp_path):
    assert list(run_study(Study.load(study_path), tmp_path, None, hours=0)) == []
    assert not list(tmp_path.rglob(RESULT))
