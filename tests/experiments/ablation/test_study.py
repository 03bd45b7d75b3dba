"""The TOML of a study: what is refused, which runs it plans, what a run trains."""

from pathlib import Path

import pytest

from saliency.errors import ConfigError
from saliency.experiments.ablation.study import Run, Study


def test_repetitions_go_round_the_folds_through_all_arms(study_path):
    text = study_path.read_text().replace("folds = [1]", "folds = [3, 4]")
    study_path.write_text(text.replace("repetitions = 2", "repetitions = 3"))
    study = Study.load(study_path)
    arms = [arm.name for arm in study.file.arms]
    assert list(study.runs()) == [
        Run(arm, repetition, fold) for repetition, fold in ((0, 3), (1, 4), (2, 3)) for arm in arms
    ]


def test_an_arm_may_have_fewer_repetitions(study_path):
    text = study_path.read_text().replace('about = "placebo"', 'about = "p"\nrepetitions = 1')
    study_path.write_text(text)
    runs = [run for run in Study.load(study_path).runs() if run.arm == "shuffled"]
    assert [run.repetition for run in runs] == [0]


def test_a_run_has_the_arms_values_and_its_own_seed(study_path):
    config = Study.load(study_path).config(Run("gate", 1, 1), Path("out"))
    assert (config.model.guidance_form, config.train.seed) == ("gate", 1)


def test_a_set_with_folds_leaves_the_runs_out(study_path):
    split = study_path.with_name("split.csv")
    split.write_text("image,part,fold\n0.png,train,1\n")
    recipe = study_path.with_name("recipe.toml")
    recipe.write_text(
        recipe.read_text().replace('layout = "drawn", ', 'layout = "drawn", split = "split.csv", ')
    )
    config = Study.load(study_path).config(Run("guided", 0, 7), Path("out"))
    assert [s.test_fold for s in config.data.sets] == [7, 7]


def test_an_at_sign_names_that_arms_checkpoint_of_the_same_repetition(study_path):
    config = Study.load(study_path).config(Run("transfer", 1, 1), Path("/out"))
    assert config.model.encoder_start == Path("/out/runs/aesthetics_only/1/last.safetensors")


def test_what_decides_a_run_does_not_depend_on_where_files_are(study_path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("study.toml", "recipe.toml"):
        (elsewhere / name).write_text(study_path.with_name(name).read_text())
    run = Run("transfer", 0, 1)
    here, there = Study.load(study_path), Study.load(elsewhere / "study.toml")
    assert here.identity(run) == there.identity(run)


def test_another_value_is_another_identity(study_path):
    study = Study.load(study_path)
    assert study.identity(Run("guided", 0, 1)) != study.identity(Run("gate", 0, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("guidance_form", "guidance_from", "model.guidance_from"),
        ('"gate"}', '"gat"}', "guidance_form"),
        ('name = "gate"', 'name = "guided"', "different names"),
        ('against = "saliency_only"', 'against = "none"', r"Found \['none'\]"),
        ('"@aesthetics_only"', '"@later"', "come after the arms that it needs"),
        ("repetitions = 2", "repetitions = 0", "repetitions"),
        ('about = "placebo"', 'abuot = "placebo"', "arms.7.about"),
        ("repetitions = 2", "repetitions = = 2", "valid TOML"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(study_path, old, new, message):
    text = study_path.read_text().replace('"gate" }', '"gate"}')
    assert old in text
    study_path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        Study.load(study_path)


def test_a_missing_study_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"Found no .*none\.toml"):
        Study.load(tmp_path / "none.toml")


def test_an_unknown_arm_is_refused_with_the_known_ones(study_path):
    with pytest.raises(ConfigError, match=r"'shuffled'.*Found 'placebo'"):
        Study.load(study_path).arm("placebo")


@pytest.mark.parametrize("name", ["guidance", "strategies", "depth"])
def test_the_studies_in_the_repository_are_whole(name):
    path = Path(__file__).parents[3] / f"data/recipes/studies/{name}.toml"
    assert Study.load(path).file.comparisons


def test_an_arm_like_another_has_its_values_and_its_own(study_path):
    config = Study.load(study_path).config(Run("three_stitched", 0, 1), Path("out"))
    assert config.sharing.name == "cross_stitch"
    assert [a.classes for a in config.data.attributes] == [("1", "2", "3")]


def test_an_arm_is_like_one_before_it(study_path):
    study_path.write_text(
        study_path.read_text().replace('"three_tasks"\noverrides', '"x"\noverrides')
    )
    with pytest.raises(ConfigError, match=r"`like` of the arm 'three_stitched'.*Found 'x'"):
        Study.load(study_path)
