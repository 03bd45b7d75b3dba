"""The table `data` of a recipe: which sets there are, where they are and how they are read."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from saliency.attributes import Attribute
from saliency.datasets.layouts import LAYOUTS
from saliency.datasets.spoiling import check_distortions
from saliency.errors import ConfigError, require
from saliency.preprocessing import check_size

M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """A table of the TOML; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetConfig(Section):
    """One labelled set. Without `split` the layout's official parts or a hash of names decide."""

    name: str
    layout: str  # a key of `LAYOUTS`
    path: str = ""  # folder below data.root; the name if empty
    split: Path | None = None  # CSV with columns image, part; relative to the TOML file. A set
    # without images in its parts val and test is used for training only
    priors: str = ""  # set whose centre, blur and temperature it shares; its own if empty
    test_fold: int | None = None  # cross-validation: test on this fold, train on the rest of train
    teacher: tuple[Path, ...] = ()  # checkpoints, one or several, whose mean prediction is the
    # label that training images lack
    taught_share: float = Field(0.0, ge=0, lt=1)  # of it in the densities that images do have
    shuffle_ratings: bool = False  # a placebo: training images change their ratings
    low: float = 1  # worst and best rating of the scale, layout "ratings"
    high: float = 7
    score_cut: float = 5.5  # between good and bad in binary accuracy; papers on AVA use 5
    count: int = Field(64, ge=8)  # images to draw, layout "drawn" alone
    rated: bool = False  # whether drawn images have scores instead of fixations
    copies: int = Field(0, ge=0)  # spoilt copies that go with each photo of a rated set

    @field_validator("layout")
    @classmethod
    def _is_known(cls, layout: str) -> str:
        require(layout in LAYOUTS, "layout", f"one of {list(LAYOUTS)}", layout)
        return layout

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _spoils_what_is_rated(self) -> SetConfig:
        require(
            not self.copies or is_rated(self), "copies", "0 for a set with fixations", self.copies
        )
        return self

    @model_validator(mode="after")
    def _shares_with_a_teacher(self) -> SetConfig:
        if self.taught_share and not self.teacher:
            raise ValueError("taught_share should be 0 where there is no teacher")
        return self


class PhotosConfig(Section):
    """A folder of photos without labels, PATH/images, all of them for training."""

    name: str
    path: str = ""  # folder below data.root; the name if empty
    copies: int = Field(2, ge=0)  # spoilt copies that go with each photo
    teacher: tuple[Path, ...] = ()  # checkpoints whose mean density is a label


class AttributeConfig(Section):
    """A further label of rated images, which the network then predicts as well.

    A scale from `low` to `high`, or some `classes`.
    """

    name: str
    column: str = ""  # column of the ratings' CSV; the name if empty
    low: float = 0
    high: float = 1
    classes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> AttributeConfig:
        self.attribute().check()
        return self

    def attribute(self) -> Attribute:
        """Return the attribute without the column that its labels are in."""
        return Attribute(self.name, self.low, self.high, self.classes)


class DataConfig(Section):
    """Where the images are and how they are varied."""

    root: Path | None = None  # folder of the sets; --data and SALIENCY_DATA come first
    sets: tuple[SetConfig, ...]
    photos: tuple[PhotosConfig, ...] = ()
    distortions: tuple[str, ...] = ()  # kinds that spoil copies (saliency/distortions.py); (): all
    height: int = 288  # of a landscape input
    width: int = 384
    further_sizes: tuple[tuple[int, int], ...] = ()  # of landscape or square inputs; each photo
    # takes the size of the nearest proportions, and batches train all that are not far from them
    crop_scale: float = Field(0.7, gt=0, le=1)  # smallest area share of a random crop
    rated_crop_scale: float = Field(1.0, gt=0, le=1)  # the same for images with ratings
    color: bool = True  # vary the colours of images without ratings
    workers: int = Field(0, ge=0)  # loader processes, as many as cores at most
    attributes: tuple[AttributeConfig, ...] = ()  # tasks beside saliency and aesthetics

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

    @field_validator("distortions")
    @classmethod
    def _distortions_are_known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        check_distortions(given)
        return given

    @model_validator(mode="after")
    def _names_differ(self) -> DataConfig:
        names = [s.name for s in self.sets] + [photos.name for photos in self.photos]
        if len(set(names)) != len(names):  # they would share priors
            raise ValueError(f"sets should have different names, found {names}")
        return self

    @model_validator(mode="after")
    def _priors_exist(self) -> DataConfig:
        own = [s.name for s in self.sets if not is_rated(s) and not s.priors]
        for shared in (s.priors for s in self.sets if s.priors):
            require(shared in own, "priors", f"one of the sets with priors, {own}", shared)
        return self

    @model_validator(mode="after")
    def _size_fits(self) -> DataConfig:
        for size in ((self.height, self.width), *self.further_sizes):
            check_size(*size)  # now, not when a study of many runs gets there
        return self

    def attribute_columns(self) -> dict[str, Attribute]:
        """Return the column that holds each attribute's labels."""
        return {a.column or a.name: a.attribute() for a in self.attributes}


class _Recipe(Section):
    """A recipe of which only the table `data` is checked; other tables may hold anything."""

    data: DataConfig
    model: object = None
    weighting: object = None
    sharing: object = None
    train: object = None


def is_rated(set_config: SetConfig) -> bool:
    """Return whether a set holds ratings (else it holds fixations)."""
    return LAYOUTS[set_config.layout].rated or set_config.rated


def find_data_root(config: DataConfig, given: Path | None = None) -> Path | None:
    """Return the folder of the sets: `given`, else SALIENCY_DATA, else the config's; or None."""
    if given is not None:
        return given
    from_environment = os.environ.get("SALIENCY_DATA")
    return Path(from_environment) if from_environment else config.root


def load_data_config(path: Path, overrides: Iterable[str] = ()) -> DataConfig:
    """Read the table `data` of a recipe; the other tables are not checked.

    Args:
        path: The TOML file; paths of splits and checkpoints in it are relative to its folder.
        overrides: `section.key=value`, value as in TOML; a bare word is a string.

    Raises:
        ConfigError: The file is missing or not TOML, or a key or value of the table is wrong.
    """
    values = read_recipe(path, overrides)
    return beside_recipe(validate(_Recipe, values, str(path)).data, path.parent)


def read_recipe(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Return a recipe's values with overrides applied, not validated.

    Raises:
        ConfigError: The file is missing or not TOML, or an override names no key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The config should be a TOML file. Found no {path}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} should be valid TOML. Found: {error}.") from error
    for override in overrides:
        _apply(values, override)
    return values


def beside_recipe(data: DataConfig, folder: Path) -> DataConfig:
    """Return `data` with the paths of splits and teachers made relative to the recipe's folder."""
    sets = tuple(
        one.model_copy(
            update={
                "split": None if one.split is None else folder / one.split,
                "teacher": tuple(folder / path for path in one.teacher),
            }
        )
        for one in data.sets
    )
    photos = tuple(
        one.model_copy(update={"teacher": tuple(folder / path for path in one.teacher)})
        for one in data.photos
    )
    return data.model_copy(update={"sets": sets, "photos": photos})


def validate(kind: type[M], values: Mapping[str, Any], origin: str) -> M:
    """Return `values` as a `kind`, naming `origin` in errors.

    Raises:
        ConfigError: A key or value is wrong; it names the first one.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = list(first["loc"])
        table = values.get(str(where[0])) if where else None
        if isinstance(table, Mapping) and [table.get("name")] == where[1:2]:
            del where[1]  # it names the chosen options, and is no key of the recipe
        message = first["msg"].removeprefix("Value error, ")
        if "Found " not in message:
            message = f"{message}. Found {first['input']!r}."
        raise ConfigError(f"{origin}: `{'.'.join(map(str, where))}`: {message}") from error


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
