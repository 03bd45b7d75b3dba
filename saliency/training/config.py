"""What a training run is: one TOML file stating what differs from these defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from saliency.attributes import Attribute
from saliency.errors import ConfigError
from saliency.model import Architecture
from saliency.model.architecture import GuidanceForm
from saliency.model.sharing import SharingName
from saliency.preprocessing import check_size

WeightingName = Literal[
    "fixed",
    "equal",
    "initial",
    "prior",
    "realtime",
    "gradient",
    "uncertainty",
    "gradnorm",
    "dwa",
    "mgda",
    "dtp",
    "lbtw",
]


class Section(BaseModel):
    """A table of the TOML; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetConfig(Section):
    """One labelled set. Without `split` the layout's official parts or a hash of names decide."""

    name: str
    layout: Literal["salicon", "osie", "ava", "ratings", "drawn"]
    path: str = ""  # folder below data.root; the name if empty
    split: Path | None = None  # CSV of image, part; relative to the TOML file
    test_fold: int | None = None  # cross-validation: test on this fold, train on the rest of train
    teacher: tuple[Path, ...] = ()  # checkpoints, one or several, whose mean prediction is the
    # label that training images lack
    taught_share: float = Field(0.0, ge=0, lt=1)  # of it in the densities that images do have
    shuffle_ratings: bool = False  # a placebo: training images change their ratings
    low: float = 1  # worst and best rating of the scale, layout "ratings"
    high: float = 7
    score_cut: float = 5.5  # what separates good from bad in binary accuracy; AVA's papers: 5
    count: int = Field(64, ge=8)  # images to draw, layout "drawn" alone
    rated: bool = False  # whether drawn images have scores instead of fixations

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _shares_with_a_teacher(self) -> SetConfig:
        if self.taught_share and not self.teacher:
            raise ValueError("taught_share should be 0 where there is no teacher")
        return self


class AttributeConfig(Section):
    """One more thing that rated images are labelled with, and the network then tells of a photo.

    A scale from `low` to `high`, or some `classes`.
    """

    name: str
    column: str = ""  # of the ratings' CSV; the name if empty
    low: float = 0
    high: float = 1
    classes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> AttributeConfig:
        try:
            self.attribute().check()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def attribute(self) -> Attribute:
        """Return it without where its labels are."""
        return Attribute(self.name, self.low, self.high, self.classes)


class DataConfig(Section):
    """Where the images are and how they are varied."""

    @field_validator("attributes")
    @classmethod
    def _attributes_differ(cls, given: tuple[AttributeConfig, ...]) -> tuple[AttributeConfig, ...]:
        names = [attribute.name for attribute in given]
        if len(set(names)) != len(names):
            raise ValueError(f"attributes should have different names, found {names}")
        columns = [attribute.column or attribute.name for attribute in given]
        if len(set(columns)) != len(columns):
            raise ValueError(f"attributes should have a column each, found {columns}")
        return given

    @field_validator("sets")
    @classmethod
    def _names_differ(cls, sets: tuple[SetConfig, ...]) -> tuple[SetConfig, ...]:
        names = [s.name for s in sets]
        if len(set(names)) != len(names):  # they would share priors
            raise ValueError(f"sets should have different names, found {names}")
        return sets

    root: Path | None = None  # folder of the sets; --data and SALIENCY_DATA come first
    sets: tuple[SetConfig, ...]
    height: int = 288  # of a landscape input
    width: int = 384
    crop_scale: float = Field(0.7, gt=0, le=1)  # smallest area share of a random crop
    rated_crop_scale: float = Field(1.0, gt=0, le=1)  # the same for images with ratings
    color: bool = True  # vary the colours of images without ratings
    workers: int = Field(0, ge=0)  # loader processes, as many as cores at most
    attributes: tuple[AttributeConfig, ...] = ()  # tasks beside saliency and aesthetics

    @model_validator(mode="after")
    def _size_fits(self) -> DataConfig:
        try:
            check_size(self.height, self.width)  # now, not when a study of many runs gets there
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def attribute_columns(self) -> dict[str, Attribute]:
        """Return the column that holds each attribute's labels."""
        return {a.column or a.name: a.attribute() for a in self.attributes}


class ModelConfig(Section):
    """The network, see `saliency.model.Architecture`; data sets are filled in."""

    encoder: str = "tf_efficientnet_lite2"
    encoder_weights: Path | None = None  # safetensors; relative to data.root
    pretrained: bool = True  # else random; without encoder_weights timm downloads its own
    saliency: bool = True
    aesthetics: bool = True
    encoder_start: Path | None = None  # checkpoint of this project whose encoder is the start
    guidance: bool = True
    guidance_form: GuidanceForm = "film"
    score_attention: bool = False
    stop_guidance_gradient: bool = True
    aesthetic_gradient: float = Field(1.0, ge=0, le=1)
    attribute_gradient: float = Field(1.0, ge=0, le=1)
    saliency_strides: tuple[int, ...] = (4, 8, 16, 32)
    aesthetic_strides: tuple[int, ...] = (4, 8, 16, 32)
    final_features: bool = True
    decoder_channels: int = 96
    auxiliary_outputs: int = 0
    auxiliary_weight: float = Field(0.4, ge=0)  # of the auxiliary outputs' mean loss
    embedding_features: int = 32
    dropout: float = Field(0.0, ge=0, lt=1)  # on the features of the linear read-outs
    ridge: float = Field(1000.0, gt=0)  # penalty of the closed-form start of the read-outs
    heteroscedastic: bool = False  # scores and attributes on a scale state their error
    train_batch_norm_affine: bool = False
    frozen_stride: int = 0  # encoder layers at this stride or finer are not trained


class WeightingConfig(Section):
    """How the tasks' losses become one, see `saliency.weighting`.

    Defaults are the papers', but for `initial_batches` (GradNorm's takes the first alone, which
    here holds few rated images) and for DTP's, which the paper does not give.
    """

    name: WeightingName = "uncertainty"
    normalize: bool = False  # rescale the weights to sum K, since gradient clipping sees scale
    fixed: dict[str, float] | None = None  # task -> weight, for "fixed"
    shared: Literal["features", "last_layer", "parameters"] | None = None  # where gradients are
    # looked at; None: last_layer in "gradnorm", features in "gradient" and "mgda"
    initial_batches: int = Field(10, ge=1)  # whose mean is L(0) of "initial" and "gradnorm"
    gradnorm_alpha: float = Field(1.5, ge=0)  # how hard tasks that lag behind are helped along
    dwa_temperature: float = Field(2.0, gt=0)  # higher is more even
    mgda_normalization: Literal["none", "l2", "loss", "loss+"] = "none"  # of gradients
    dtp_gamma: float | dict[str, float] = 1.0  # focus on what is not mastered, >= 0; or by task
    dtp_smoothing: float = Field(0.5, gt=0, le=1)  # share of the newest validation
    lbtw_alpha: float = Field(0.5, ge=0)  # how strongly losses count; 0 is equal


class SharingConfig(Section):
    """How the tasks share the encoder, see `saliency.model.sharing`."""

    name: SharingName = "hard"
    lr: float = Field(1e-2, ge=0)  # of what mixes the tasks' features; far above the encoder's
    strength: float | None = Field(None, ge=0)  # of the scheme's penalty; None: its own default
    per_channel: bool = False  # a mixing weight a channel in "cross_stitch", else one a stage
    subspaces: int = Field(2, ge=1)  # of each stage's channels in "sluice"
    update_every: int = Field(20, ge=1)  # steps between covariance updates in "multilinear"
    splits: tuple[int, ...] = ()  # epochs after which "adaptive" may split a stage, deepest first;
    # (): evenly in the first half of the run, one for each trained stage
    max_groups: int = Field(2, ge=1)  # that "adaptive" may split a stage into
    branching: float = Field(4.0, ge=0)  # how readily "adaptive" splits, see `choose_groups`

    @field_validator("splits")
    @classmethod
    def _splits_rise(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if list(given) != sorted(set(given)) or min(given, default=1) < 1:
            raise ValueError("splits should be rising numbers of epochs from 1 on")
        return given


class TrainConfig(Section):
    """The optimisation."""

    seed: int = 0
    epochs: int = Field(12, ge=1)  # an epoch shows every image with fixations once
    saliency_per_batch: int = Field(6, ge=0)  # in a step's batch, which all processes share
    rated_per_batch: int = Field(2, ge=0)
    encoder_lr: float = Field(2e-4, ge=0)
    saliency_lr: float = Field(1e-3, ge=0)
    aesthetic_lr: float = Field(2e-5, ge=0)  # low: the read-out starts at its optimum
    weighting_lr: float = Field(2e-2, ge=0)
    weight_decay: float = Field(1e-2, ge=0)
    warmup_steps: int = Field(100, ge=0)
    clip_norm: float = Field(2.0, gt=0)  # of each branch's gradient
    ema_decay: float = Field(0.998, ge=0, lt=1)
    neutral_probability: float = Field(0.5, ge=0, le=1)  # of a set's image to train neutral priors
    feature_anchor: float = Field(1.0, ge=0)  # how strongly scores keep the features they start at
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU
    accumulate: int = Field(1, ge=1)  # parts that a process computes its share of a batch in
    compile: bool = False  # the encoder, by torch.compile: minutes at the start, then faster
    patience: int = Field(0, ge=0)  # epochs without a better validation before stopping; 0 never
    validate_every: int = Field(1, ge=1)  # epochs
    save_every_steps: int = Field(1000, ge=1)  # beside every epoch's end


class TrainingConfig(Section):
    """A whole run."""

    data: DataConfig
    model: ModelConfig = ModelConfig()
    weighting: WeightingConfig = WeightingConfig()
    sharing: SharingConfig = SharingConfig()
    train: TrainConfig = TrainConfig()

    def architecture(self) -> Architecture:
        """Return the network's architecture, with priors for the sets that have fixations."""
        fields = self.model.model_dump(include=set(Architecture.__dataclass_fields__))
        return Architecture(
            **fields,
            datasets=self.saliency_set_names(),
            attributes=tuple(a.attribute() for a in self.data.attributes),
            sharing=self.sharing.name,
            sharing_per_channel=self.sharing.per_channel,
            sharing_subspaces=self.sharing.subspaces,
            sharing_update_every=self.sharing.update_every,
        )

    def saliency_set_names(self) -> tuple[str, ...]:
        """Return the names of the sets with fixations, in order."""
        return tuple(s.name for s in self.data.sets if not is_rated(s))


def to_public(config: TrainingConfig) -> dict[str, Any]:
    """Return a config for the card of a checkpoint, which may be passed on.

    `data.root` is left out. Of other absolute paths the last two parts stay: they tell a run and
    its file, not whose they are.
    """

    def shorten(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shorten(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [shorten(inner) for inner in value]
        if isinstance(value, Path):
            return Path(*value.parts[-2:] if value.is_absolute() else value.parts).as_posix()
        return value

    data = config.data.model_copy(update={"root": None})
    public: dict[str, Any] = shorten(config.model_copy(update={"data": data}).model_dump())
    return public


def is_rated(set_config: SetConfig) -> bool:
    """Return whether a set holds ratings (else it holds fixations)."""
    return set_config.layout in ("ava", "ratings") or set_config.rated


def load_config(path: Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read a TOML file and apply overrides.

    Args:
        path: The file; paths of splits and checkpoints in it are relative to its folder.
        overrides: `section.key=value`, value as in TOML; a bare word is a string.

    Raises:
        ConfigError: The file is missing or no TOML, or a key or value is wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The config should be a TOML file. Found no {path}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} should be valid TOML. Found: {error}.") from error
    for override in overrides:
        _apply(values, override)
    config = to_config(values, str(path))
    return _beside(config, path.parent)


def _beside(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """Return `config` with the paths in it, but those of `encoder_weights`, from `folder` on."""

    def resolve(section: Any, name: str) -> Any:
        path = getattr(section, name)
        return section if path is None else section.model_copy(update={name: folder / path})

    sets = tuple(
        resolve(s, "split").model_copy(
            update={"teacher": tuple(folder / path for path in s.teacher)}
        )
        for s in config.data.sets
    )
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"sets": sets}),
            "model": resolve(config.model, "encoder_start"),
        }
    )


def to_config(values: Mapping[str, Any], origin: str) -> TrainingConfig:
    """Validate `values`, naming `origin` in errors."""
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{origin}: `{where}`: {first['msg']}. Found {first['input']!r}."
        ) from error


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one `section.key=value` in `values`."""
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            "An override should read section.key=value, such as train.epochs=3. "
            f"Found {override!r}."
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    table: Any = values
    for section in sections:
        if isinstance(table, list):  # data.sets.oasis.test_fold=1, or data.sets.4.test_fold=1
            named = {
                item["name"]: item for item in table if isinstance(item, dict) and "name" in item
            }
            by_place = {str(place): item for place, item in enumerate(table)}
            table = (by_place | named).get(section)
        else:
            table = table.setdefault(section, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(f"`{key}` should name a key in a table. Found none there.")
    table[last] = value
