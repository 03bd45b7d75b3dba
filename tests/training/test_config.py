import json
from pathlib import Path

import pytest

from saliency.errors import ConfigError
from saliency.training.config import TrainingConfig, load_config, to_public

RECIPES = sorted((Path(__file__).parents[2] / "data" / "recipes").glob("*.toml"))

TOML = """
[data]
sets = [{ name = "drawn", layout = "drawn" }, { name = "own", layout = "osie", split = "own.csv" }]
[train]
epochs = 5
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipes" / "a.toml"
    path.parent.mkdir()
    path.write_text(TOML)
    return path


def test_what_a_file_does_not_state_is_a_default(recipe):
    config = load_config(recipe)
    assert config.train.epochs == 5
    assert config.train.warmup_steps == TrainingConfig(data={"sets": ()}).train.warmup_steps


def test_a_split_is_looked_for_beside_the_file(recipe, monkeypatch):
    monkeypatch.chdir("/")
    assert load_config(recipe).data.sets[1].split == recipe.parent / "own.csv"


def test_an_absolute_split_stays(recipe):
    config = load_config(recipe, ["data.sets.1.split=/somewhere/own.csv"])
    assert config.data.sets[1].split == Path("/somewhere/own.csv")


def test_only_sets_with_fixations_have_priors_of_their_own(recipe):
    config = load_config(
        recipe,
        [
            'data.sets=[{name="a",layout="ava"},{name="b",layout="osie"},{name="c",layout="ratings"}]'
        ],
    )
    assert config.architecture().datasets == ("b",)


def test_a_set_may_share_the_priors_of_another(recipe):
    sets = '{name="a",layout="osie"},{name="b",layout="osie",priors="c"},{name="c",layout="osie"}'
    config = load_config(recipe, [f"data.sets=[{sets}]"])
    assert config.architecture().datasets == ("a", "c")
    assert config.priors_of_sets() == {"a": 1, "c": 2, "b": 2}


@pytest.mark.parametrize("shared", ["b", "rated", "nobody"])
def test_priors_are_shared_with_a_set_that_has_some(recipe, shared):
    sets = f'{{name="a",layout="osie"}},{{name="b",layout="osie",priors="{shared}"}}'
    with pytest.raises(ConfigError, match="one of the sets with priors"):
        load_config(recipe, [f'data.sets=[{sets},{{name="rated",layout="ava"}}]'])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[train]\nepoch = 3", r"`train\.epoch`"),
        ("[train]\nepochs = 'many'", r"`train\.epochs`"),
        ("[train]\nepochs = 0", r"`train\.epochs`"),
        ("[train]\nprecision = 'float16'", r"`train\.precision`"),
        ("[model]\nsaliency_strides = 4", r"`model\.saliency_strides`"),
        (
            "[weighting]\nname='fixed'\nweights={saliency='a'}",
            r"`weighting\.weights\.saliency`",
        ),
        ("[weighting]\nname = 'dwa'\ntemperature = 0", r"`weighting`.*temperature. should be > 0"),
        ("[weighting]\nname = 'dwa'\nalpha = 1", r"`weighting`: 'alpha' is no option of 'dwa'"),
        ("[weighting]\nname = 'lbtw'\ngradnorm_alpha = 1", r"`weighting`: 'gradnorm_alpha' is no"),
        ("[weighting]\nname = 'lbtw'\nalpha = 1\nlbtw_alpha = 2", r"`weighting`.*given once"),
        ("[weighting]\nname = ['dwa']", r"`weighting`: `name` should be one of"),
        ("[sharing]\nlr = 1", r"`sharing`: 'lr' is no option of 'hard'"),
        ("[sharing]\nname = 'mtan'\nsplits = [1]", r"`sharing`: 'splits' is no option of 'mtan'"),
        ("[model]\ndropout = 1", r"`model`: `dropout` should be >= 0 and < 1"),
        ("[model]\nheight = 1", r"`model\.height`"),
        ("[trains]\nepochs = 3", "`trains`"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, text, key):
    path = tmp_path / "a.toml"
    path.write_text(f"data.sets = []\n{text}\n")
    with pytest.raises(ConfigError, match=rf"a\.toml: {key}"):
        load_config(path)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("5", "`data`"),
        ("{}", r"`data\.sets`"),
        ("{sets = 5}", r"`data\.sets`"),
        ("{sets = [5]}", r"`data\.sets\.0`"),
        ("{sets = [{name = 'a', layout = 'osie', split = 5}]}", r"`data\.sets\.0\.split`"),
        ("{sets = [{name = 'a', layout = 'coco'}]}", r"`data\.sets\.0\.layout`"),
        ("{sets = [{layout = 'osie'}]}", r"`data\.sets\.0\.name`"),
        ("{sets = [{name = 'a', layout = 'drawn', number = 9}]}", r"`data\.sets\.0\.number`"),
    ],
)
def test_a_wrong_set_is_named(tmp_path, data, key):
    path = tmp_path / "a.toml"
    path.write_text(f"data = {data}\n")
    with pytest.raises(ConfigError, match=key):
        load_config(path)


def test_the_data_are_not_optional(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match="`data`"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no .*absent\.toml"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("content", [b"[train\nepochs = 3", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.toml should be valid TOML"):
        load_config(path)


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("train.epochs=3", "train", "epochs", 3),
        ("train.encoder_lr=1e-5", "train", "encoder_lr", 1e-5),
        ("model.guidance=false", "model", "guidance", False),
        ("model.saliency_strides=[8, 16]", "model", "saliency_strides", (8, 16)),
        ("model.encoder=resnet18", "model", "encoder", "resnet18"),  # a bare word is a string
        ('model.encoder="resnet18"', "model", "encoder", "resnet18"),
        ("data.root=/data sets/here", "data", "root", Path("/data sets/here")),
        (
            "weighting={name='fixed', weights={saliency=2}}",
            "weighting",
            "weights",
            {"saliency": 2.0},
        ),
        ("sharing={name='sluice', subspaces=4}", "sharing", "subspaces", 4),
        (" train.epochs = 3 ", "train", "epochs", 3),
    ],
)
def test_overrides_are_typed_as_toml(recipe, override, section, key, value):
    found = getattr(getattr(load_config(recipe, [override]), section), key)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


def test_an_override_reaches_into_one_set(recipe):
    config = load_config(recipe, ["data.sets.0.count=9"])
    assert config.data.sets[0].count == 9
    assert config.data.sets[1].name == "own"


def test_the_last_override_wins(recipe):
    assert load_config(recipe, ["train.epochs=3", "train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs",
        "=3",
        "train.epoch=3",
        "epochs=3",
        "train.epochs=many",
        "train.epochs=",
        "train.epochs.first=3",
        "data.sets.9.count=9",
        "data.sets.count=9",
        "train=3",
    ],
)
def test_a_bad_override_is_named(recipe, override):
    with pytest.raises(ConfigError, match=override.partition("=")[0].split(".")[0] or "=3"):
        load_config(recipe, [override])


def test_a_config_survives_its_way_through_a_state_file(recipe):
    overrides = ["data.root=/data", "weighting={name='fixed', weights={saliency=1}}"]
    config = load_config(recipe, [*overrides, "sharing.name=sluice"])
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_describes_a_network(path):
    assert load_config(path).architecture().encoder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_names_splits_that_are_there(path):
    splits = [s.split for s in load_config(path).data.sets if s.split is not None]
    assert all(split.is_file() for split in splits)


def test_two_sets_of_one_name_are_an_error(tmp_path):
    path = tmp_path / "twice.toml"
    path.write_text('[data]\nsets = [{name="a",layout="ava"},{name="a",layout="osie"}]')
    with pytest.raises(ConfigError, match="different names"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("{name='gradnorm', gradnorm_alpha=0.5}", "alpha", 0.5),
        ("{name='dtp', dtp_gamma=2}", "gamma", 2),
        ("{name='fixed', fixed={saliency=1}}", "weights", {"saliency": 1}),
        ("{name='initial', initial_batches=3}", "initial_batches", 3),
    ],
)
def test_an_option_may_be_called_as_version_0_2_called_it(recipe, text, option, value):
    assert getattr(load_config(recipe, [f"weighting={text}"]).weighting, option) == value


def test_a_table_without_a_name_is_about_the_default(recipe):
    weighting = load_config(recipe, ["weighting.normalize=true"]).weighting
    assert (weighting.name, weighting.normalize) == ("uncertainty", True)


def test_a_set_can_be_called_by_its_name(recipe):
    assert load_config(recipe, ["data.sets.own.low=2"]).data.sets[1].low == 2


def test_checkpoints_in_a_recipe_are_beside_it(recipe):
    overrides = ["data.sets.own.teacher=t.safetensors", "model.encoder_start=/runs/s.safetensors"]
    config = load_config(recipe, overrides)
    assert config.data.sets[1].teacher == (recipe.parent / "t.safetensors",)
    assert config.model.encoder_start == Path("/runs/s.safetensors")


def test_a_set_can_have_several_teachers(recipe):
    config = load_config(recipe, ['data.sets.own.teacher=["a.safetensors", "/b.safetensors"]'])
    assert config.data.sets[1].teacher == (recipe.parent / "a.safetensors", Path("/b.safetensors"))


def test_a_public_config_names_no_folder_of_its_maker(recipe):
    overrides = ["data.sets.own.teacher=/home/me/runs/a/best.safetensors", "data.root=/home/me"]
    public = to_public(load_config(recipe, overrides))
    assert public["data"]["sets"][1]["teacher"] == ["a/best.safetensors"]
    assert "home" not in str(public)


def test_a_public_config_is_json(recipe):
    public = to_public(load_config(recipe))
    assert json.loads(json.dumps(public)) == public


def test_a_share_of_no_teacher_is_refused(recipe):
    with pytest.raises(ConfigError, match="taught_share should be 0"):
        load_config(recipe, ["data.sets.own.taught_share=0.5"])


@pytest.mark.parametrize("size", [("96", "144"), ("128", "96")])
def test_a_size_that_no_encoder_takes_is_refused_at_once(recipe, size):
    height, width = size
    with pytest.raises(ConfigError, match=rf"`data`.*Found \({height}, {width}\)"):
        load_config(recipe, [f"data.height={height}", f"data.width={width}"])
