"""The configuration of a training run: a TOML file that states what differs from the defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from saliency.checkpoint import RELEASES
from saliency.datasets.config import (
    DataConfig,
    Section,
    beside_recipe,
    is_rated,
    read_recipe,
    validate,
)
from saliency.errors import require
from saliency.model import Architecture
from saliency.model.architecture import NetworkOptions
from saliency.model.encoder import TuningName
from saliency.model.sharing import HardOptions, Scheme
from saliency.tasks import ScoreLoss
from saliency.weighting import Strategy, UncertaintyOptions

FORMER_NAMES = {
    "fixed": {"fixed": "weights"},
    "gradnorm": {"gradnorm_alpha": "alpha"},
    "dwa": {"dwa_temperature": "temperature"},
    "mgda": {"mgda_normalization": "normalization"},
    "dtp": {"dtp_gamma": "gamma", "dtp_smoothing": "smoothing"},
    "lbtw": {"lbtw_alpha": "alpha"},
}
"""Names of options in version 0.2, which had the options of all strategies in one table. Recipes
and studies of that version can still be read."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(NetworkOptions):
    """The network's options, and how it starts and is trained."""

    encoder_weights: Path | None = None  # safetensors; relative to data.root
    pretrained: bool = True  # False: random; True without encoder_weights: timm's download
    encoder_start: Path | None = None  # checkpoint of this project whose encoder is the start
    start: Path | None = None  # checkpoint that training goes on from as a whole, or the name of
    # released weights: "default" for example
    auxiliary_weight: float = 0.4  # weight of the auxiliary outputs' mean loss
    ridge: float = 1000.0  # penalty of the closed-form start of the read-outs
    train_batch_norm_affine: bool = False
    frozen_stride: int = 0  # encoder layers at this stride or finer are not trained
    encoder_tuning: TuningName = "full"  # which part of the pretrained network is trained
    encoder_rank: int = 8  # rank of the matrices that "low_rank" adds to attention

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.auxiliary_weight >= 0, "auxiliary_weight", ">= 0", self.auxiliary_weight)
        require(self.ridge > 0, "ridge", "> 0", self.ridge)
        require(self.encoder_rank >= 1, "encoder_rank", ">= 1", self.encoder_rank)
        given = [n for n in ("encoder_weights", "encoder_start", "start") if getattr(self, n)]
        require(len(given) <= 1 or "start" not in given, "start", "the only start", given)


class TrainConfig(Section):
    """The options of the optimisation."""

    seed: int = 0
    epochs: int = Field(12, ge=1)  # an epoch shows every image with fixations once
    saliency_per_batch: int = Field(6, ge=0)  # images in a step's batch, which all processes share
    rated_per_batch: int = Field(2, ge=0)
    photos_per_batch: int = Field(1, ge=0)  # photos of `data.photos`, not counting spoilt copies
    encoder_lr: float | None = Field(None, ge=0)  # None: by its kind, 2e-4 for networks of stages,
    # 5e-5 for plain transformers, 3e-4 for tuning of low rank
    layer_decay: float | None = Field(None, gt=0, le=1)  # factor on encoder_lr from a layer to the
    # one before it; None: 0.8 for plain transformers with full tuning, else 1
    saliency_lr: float = Field(1e-3, ge=0)
    aesthetic_lr: float = Field(2e-5, ge=0)  # low: the read-out starts at its optimum
    score_loss: ScoreLoss = "likelihood"  # of the votes, or "emd": squared earth mover's distance
    weighting_lr: float = Field(2e-2, ge=0)
    weight_decay: float = Field(1e-2, ge=0)
    warmup_steps: int = Field(100, ge=0)
    clip_norm: float = Field(2.0, gt=0)  # largest norm of each branch's gradient
    ema_decay: float = Field(0.998, ge=0, lt=1)
    neutral_probability: float = Field(0.5, ge=0, le=1)  # that an image trains the neutral priors
    feature_anchor: float = Field(1.0, ge=0)  # weight of the penalty, see FeatureAnchor
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU
    accumulate: int = Field(1, ge=1)  # parts into which a process splits its share of a batch
    compile: bool = False  # compile the encoder: minutes at the start, then faster
    threads: int = Field(0, ge=0)  # on a CPU; 0: one for small networks or busy cores, else all
    patience: int = Field(0, ge=0)  # epochs without a better validation before stopping; 0 never
    validate_every: int = Field(1, ge=1)  # epochs
    save_every_steps: int = Field(1000, ge=1)  # besides the end of every epoch

    def in_half(self, device_type: str) -> bool:
        """Return whether the network is computed in bfloat16, where that is precise enough."""
        return self.precision == "bfloat16" or (self.precision == "auto" and device_type == "cuda")


class TrainingConfig(Section):
    """A whole run.

    `weighting` and `sharing` hold the options of the strategy and of the scheme that their `name`
    chooses; those of another one are errors.
    """

    data: DataConfig
    model: ModelConfig = ModelConfig()
    weighting: Strategy = Field(UncertaintyOptions(), discriminator="name")
    sharing: Scheme = Field(HardOptions(), discriminator="name")
    train: TrainConfig = TrainConfig()

    @field_validator("weighting", "sharing", mode="before")
    @classmethod
    def _name_what_is_wrong(cls, given: object, info: ValidationInfo) -> object:
        """Add the default's name to a table without one, and refuse another one's options."""
        if not isinstance(given, Mapping):
            return given
        field = cls.model_fields[str(info.field_name)]
        by_name = {options.name: options for options in get_args(field.annotation)}
        name = given.get("name", field.default.name)
        require(name in list(by_name), "name", f"one of {list(by_name)}", name)
        chosen = {"name": name, **rename_options(name, given)}
        known = [each.name for each in fields(by_name[name])]
        for key, value in chosen.items():
            if key not in known:
                raise ValueError(
                    f"{key!r} is no option of {name!r}, which has {known}. Found {value!r}."
                )
        return chosen

    def architecture(self) -> Architecture:
        """Return the network's architecture, with priors for the sets that have fixations."""
        return Architecture(
            **{each.name: getattr(self.model, each.name) for each in fields(NetworkOptions)},
            datasets=self.saliency_set_names(),
            attributes=tuple(a.attribute() for a in self.data.attributes),
            sharing=self.sharing,
        )

    def saliency_set_names(self) -> tuple[str, ...]:
        """Return the names of the sets with fixations and priors of their own, in order."""
        return tuple(s.name for s in self.data.sets if not is_rated(s) and not s.priors)

    def priors_of_sets(self) -> dict[str, int]:
        """Return the index of each set's priors in the network, counted from 1, by its name."""
        index = {name: 1 + place for place, name in enumerate(self.saliency_set_names())}
        return index | {s.name: index[s.priors] for s in self.data.sets if s.priors}


def rename_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options under their present names.

    Raises:
        ConfigError: An option is given twice, under its old and its new name.
    """
    renamed: dict[str, Any] = {}
    for key, value in given.items():
        now = FORMER_NAMES.get(name, {}).get(key, key)
        require(now not in renamed, now, f"given once, not also as {key}", value)
        renamed[now] = value
    return renamed


def to_public(config: TrainingConfig) -> dict[str, Any]:
    """Return a config for the header of a checkpoint, which may be published.

    `data.root` is left out. Only the last two parts of other absolute paths are kept: they name a
    run and its file, but not whose they are.
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


def load_config(path: Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read a TOML file and apply overrides.

    Args:
        path: The file; paths of splits and checkpoints in it are relative to its folder, and
            `encoder_weights` is relative to `data.root`.
        overrides: `section.key=value`, value as in TOML; a bare word is a string.

    Raises:
        ConfigError: The file is missing or is not TOML, or a key or value is wrong.
    """
    config = validate(TrainingConfig, read_recipe(path, overrides), str(path))
    encoder_start, start = config.model.encoder_start, config.model.start
    model = replace(
        config.model,
        encoder_start=encoder_start and path.parent / encoder_start,
        start=start if start is None or str(start) in RELEASES else path.parent / start,
    )
    data = beside_recipe(config.data, path.parent)
    return config.model_copy(update={"data": data, "model": model})
