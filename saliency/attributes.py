"""Attributes of a photo besides its beauty: a number on a scale, or one of several classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from saliency.errors import ConfigError

TAKEN = ("saliency", "aesthetics")
"""Names of the two main tasks."""


class Attribute(NamedTuple):
    """An attribute of a whole photo, which a network can learn as a task.

    Labels and network outputs of a scale run from 0 at `low` to 1 at `high`, so that squared
    errors of different scales are comparable.

    Attributes:
        name: Name of the task, in logs, tables and results.
        low: Lowest value of the scale.
        high: Highest value of the scale.
        classes: Names of the classes; empty for an attribute on a scale.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """Number of network outputs: one for a scale, else a logit for each class."""
        return len(self.classes) or 1

    def to_label(self, text: str) -> float:
        """Return a label for training: 0..1 from `low` to `high`, or the number of the class.

        Raises:
            ValueError: `text` is no number of the scale, or none of the classes.
        """
        if self.classes:
            if text not in self.classes:
                raise ValueError(
                    f"`{self.name}` should be one of {list(self.classes)}. Found {text!r}."
                )
            return float(self.classes.index(text))
        label = (float(text) - self.low) / (self.high - self.low)
        if not 0 <= label <= 1:
            raise ValueError(
                f"`{self.name}` should be {self.low:g} to {self.high:g}. Found {text}."
            )
        return label

    def to_value(self, label: float) -> float:
        """Return the value on the scale for a label 0..1."""
        return self.low + label * (self.high - self.low)

    def check(self) -> None:
        """Refuse an attribute that makes no sense.

        Raises:
            ConfigError: The name is taken, the scale is empty, or there is a single class.
        """
        if self.name in TAKEN or not self.name.isidentifier():
            raise ConfigError(
                f"An attribute's name should be a word other than {list(TAKEN)}. "
                f"Found {self.name!r}."
            )
        if not self.low < self.high:
            raise ConfigError(
                f"`low` of the attribute {self.name!r} should be below `high`. "
                f"Found {self.low:g} and {self.high:g}."
            )
        if self.classes and len(set(self.classes)) < max(2, len(self.classes)):
            raise ConfigError(
                f"`classes` of the attribute {self.name!r} should be two or more, all different. "
                f"Found {list(self.classes)}."
            )


@dataclass(frozen=True)
class AttributeEstimate:
    """The network's estimate of one attribute of one photo.

    Attributes:
        name: Name of the attribute.
        value: Value on its scale; None for classes.
        std: Expected error of `value`, as a standard deviation; None if the network was not
            trained to state it.
        label: The most likely class; None for a scale.
        probabilities: Probability of each class, which sum to 1; None for a scale.
    """

    name: str
    value: float | None = None
    std: float | None = None
    label: str | None = None
    probabilities: Mapping[str, float] | None = None
