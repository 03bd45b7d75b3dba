"""A strategy and a scheme that are defined in this file can be trained with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from pydantic import Field

from saliency import ConfigError, Predictor
from saliency.datasets.config import read_recipe, validate
from saliency.model.sharing import SCHEMES, HardSharing, Scheme, SharingOptions
from saliency.training.config import TrainingConfig
from saliency.training.loop import train
from saliency.weighting import Strategy, TaskWeighting, WeightingOptions


class LoudestWeighting(TaskWeighting):
    """Train only the task whose loss is largest."""

    def __init__(self, task_count: int, others: float) -> None:
        super().__init__(task_count)
        self.others = others
        self.register_buffer("steps", torch.zeros(()))

    def weigh(self, losses, present, shared):
        self.steps = self.steps + 1
        values = self.values(losses, present).nan_to_num(nan=-1)
        return torch.where(values == values.max(), 1.0, self.others)


@dataclass(frozen=True, kw_only=True)
class LoudestOptions(WeightingOptions):
    name: Literal["loudest"] = "loudest"
    others: float = 0.0

    def build(self, tasks: Sequence) -> TaskWeighting:
        return LoudestWeighting(len(tasks), self.others)


class ScaledSharing(HardSharing):
    """Hard sharing of features times a number that is learned."""

    def __init__(self, task_count: int, start: float) -> None:
        super().__init__(task_count)
        self.scale = torch.nn.Parameter(torch.tensor(start))

    def forward(self, encoder, images):
        shared = super().forward(encoder, images)
        by_task = tuple([self.scale * x for x in features] for features in shared.by_task)
        return shared._replace(by_task=by_task)


@dataclass(frozen=True, kw_only=True)
class ScaledOptions(SharingOptions):
    name: Literal["scaled"] = "scaled"
    lr: float = 1e-2
    start: float = 1.0

    def build(self, encoder, task_count):
        return ScaledSharing(task_count, self.start)


class WiderConfig(TrainingConfig):
    """What the line in `saliency.weighting` and that in `saliency.model.sharing` would do."""

    weighting: Strategy | LoudestOptions = Field(LoudestOptions(), discriminator="name")
    sharing: Scheme | ScaledOptions = Field(ScaledOptions(), discriminator="name")


@pytest.fixture
def build(tiny_toml, monkeypatch):
    monkeypatch.setitem(SCHEMES, "scaled", ScaledOptions)

    def config(*overrides):
        return validate(WiderConfig, read_recipe(tiny_toml, overrides), "tiny")

    return config


def test_they_train_and_predict_and_go_on(build, tmp_path, power_cut):
    config = build("weighting.others=0.1", "sharing.start=1.5")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(config, whole, device="cpu")
    with pytest.raises(OSError, match="no power"):
        train(config, stopped, device="cpu", reporter=power_cut(stopped, 6))
    train(config, stopped, device="cpu")
    photo = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    one, other = (Predictor.load(run / "last.safetensors", "cpu") for run in (whole, stopped))
    assert one.predict(photo).score == other.predict(photo).score


def test_their_options_are_checked_as_those_from_inside(build):
    with pytest.raises(ConfigError, match=r"'temperature' is no option of 'loudest'"):
        build("weighting.temperature=1")
    with pytest.raises(ConfigError, match=r"'others' is no option of 'equal'"):
        build("weighting.name=equal", "weighting.others=1")
