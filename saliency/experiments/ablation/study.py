"""Studies: a TOML file of arms, each of which changes a few values of a recipe."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saliency.errors import ConfigError, find_first_fault
from saliency.training.config import TrainingConfig, load_config
from saliency.training.folder import LAST

Overrides = dict[str, Any]
"""`section.key` -> value, as in `saliency train -s`. The value `@arm` is that arm's checkpoint."""


class Section(BaseModel):
    """A table of the TOML; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(Section):
    """One variant of the recipe."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    about: str  # a line for tables
    like: str | None = None  # an arm before this one, whose overrides come first
    overrides: Overrides = {}
    repetitions: int | None = Field(None, ge=1)  # None: those of the study

    def needs(self) -> tuple[str, ...]:
        """Return the arms whose checkpoints this one starts from or learns from."""
        values = self.overrides.values()
        return tuple(v[1:] for v in values if isinstance(v, str) and v.startswith("@"))


class Comparison(Section):
    """A question that two arms answer."""

    question: str  # that yes or no answers: does `arm` do better than `against`?
    arm: str
    against: str


class StudyFile(Section):
    """The content of the TOML file."""

    about: str
    base: Path  # a training recipe; relative to this file
    repetitions: int = Field(5, ge=1)
    folds: tuple[int, ...] = Field((1, 2, 3, 4), min_length=1)
    overrides: Overrides = {}  # for every arm
    arms: tuple[Arm, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one arm.

    Attributes:
        arm: Name of the arm.
        repetition: Number from 0; it is the seed, so all arms see the same images in one order.
        fold: Fold that is left out of training and measured.
    """

    arm: str
    repetition: int
    fold: int

    def folder(self, out_dir: Path) -> Path:
        """Return the folder of its files."""
        return out_dir / "runs" / self.arm / str(self.repetition)


@dataclass(frozen=True)
class Study:
    """A study and the file that it was read from."""

    path: Path
    file: StudyFile

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read a study.

        Raises:
            ConfigError: The file is missing or not TOML, or its arms are inconsistent.
        """
        try:
            study = cls(path, StudyFile.model_validate(tomllib.loads(path.read_text("utf-8"))))
        except OSError as error:
            raise ConfigError(f"The study should be a TOML file. Found no {path}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} should be valid TOML. Found: {error}.") from error
        except ValidationError as error:
            where, fault = find_first_fault(error.errors())
            raise ConfigError(f"{path}: `{where}`: {fault}.") from error
        study._check_names()
        study = study._with_likeness()
        for arm in study.file.arms:  # now rather than hours later
            study.config(Run(arm.name, 0, study.file.folds[0]), Path())
        return study

    def arm(self, name: str) -> Arm:
        """Return the arm called `name`."""
        for arm in self.file.arms:
            if arm.name == name:
                return arm
        names = [arm.name for arm in self.file.arms]
        raise ConfigError(f"An arm should be one of {names}. Found {name!r}.")

    def runs(self) -> Iterator[Run]:
        """Yield all runs, one repetition of every arm after the other."""
        most = max(arm.repetitions or self.file.repetitions for arm in self.file.arms)
        for repetition in range(most):
            fold = self.file.folds[repetition % len(self.file.folds)]
            for arm in self.file.arms:
                if repetition < (arm.repetitions or self.file.repetitions):
                    yield Run(arm.name, repetition, fold)

    def config(self, run: Run, out_dir: Path) -> TrainingConfig:
        """Return the config of a run: the base, the study's values, the arm's, seed and fold.

        Raises:
            ConfigError: A key or value is wrong.
        """
        values = self._overrides(run)
        for key, value in values.items():
            if isinstance(value, str) and value.startswith("@"):
                checkpoint = Run(value[1:], run.repetition, run.fold).folder(out_dir) / LAST
                values[key] = str(checkpoint.absolute())
        texts = [f"{key}={_to_toml(value)}" for key, value in values.items()]
        config = load_config(self.path.parent / self.file.base, texts)
        sets = tuple(
            s if s.split is None else s.model_copy(update={"test_fold": run.fold})
            for s in config.data.sets
        )
        return config.model_copy(update={"data": config.data.model_copy(update={"sets": sets})})

    def identity(self, run: Run) -> dict[str, Any]:
        """Return the values that determine a run, without the paths of files, for JSON."""
        base = tomllib.loads((self.path.parent / self.file.base).read_text("utf-8"))
        return {"base": base, "overrides": self._overrides(run), "fold": run.fold}

    def _overrides(self, run: Run) -> Overrides:
        seed = {"train.seed": run.repetition}
        return self.file.overrides | self.arm(run.arm).overrides | seed

    def _with_likeness(self) -> Study:
        """Return the study with every arm's overrides complete."""
        arms: dict[str, Arm] = {}
        for arm in self.file.arms:
            if arm.like is not None:
                if arm.like not in arms:
                    raise ConfigError(
                        f"{self.path}: `like` of the arm {arm.name!r} should name an arm before "
                        f"it. Found {arm.like!r}."
                    )
                whole = arms[arm.like].overrides | arm.overrides
                arm = arm.model_copy(update={"like": None, "overrides": whole})
            arms[arm.name] = arm
        return Study(self.path, self.file.model_copy(update={"arms": tuple(arms.values())}))

    def _check_names(self) -> None:
        names = [arm.name for arm in self.file.arms]
        if len(set(names)) != len(names):
            raise ConfigError(f"{self.path}: arms should have different names. Found {names}.")
        asked = {name for c in self.file.comparisons for name in (c.arm, c.against)}
        for number, arm in enumerate(self.file.arms):
            later = set(arm.needs()) - set(names[:number])
            if later:
                raise ConfigError(
                    f"{self.path}: the arm {arm.name!r} should come after the arms that it needs. "
                    f"Found no {sorted(later)} before it."
                )
        if asked - set(names):
            raise ConfigError(
                f"{self.path}: comparisons should name arms, {names}. "
                f"Found {sorted(asked - set(names))}."
            )


def _to_toml(value: Any) -> str:
    """Return a value as TOML text on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_to_toml(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    return json.dumps(value)
