"""What a photo can be asked beside its beauty: a number on a scale, or one of some classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from saliency.errors import ConfigError

TAKEN = ("saliency", "aesthetics")
"""Names of the two main tasks."""


class Attribute(NamedTuple):
    """One thing to tell of a whole photo.

    Labels and network outputs of a scale run from 0 at `low` to 1 at `high`, so that their
    squared errors are comparable whatever the scale.

    Attributes:
        name: Of the task, in logs, tables and results.
        low: Lowest value of the scale.
        high: Highest value of the scale.
        classes: Names of the classes, if it is one of some; then there is no scale.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """Numbers that a network gives for it: one, or a logit a class."""
        return len(self.classes) or 1

    def to_label(self, text: str) -> float:
        """Return a label as training has it: 0..1 from `low` to `high`, or the class's number.

        Raises:
            ValueError: It is no number of the scale, or none of the classes.
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
        """Return the value on the scale of a label 0..1."""
        return self.low + label * (self.high - self.low)

    def check(self) -> None:
        """Refuse what makes no sense.

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
    """What the network says of one attribute of one photo.

    Attributes:
        name: Of the attribute.
        value: On its scale; None for classes.
        std: How far off the value may be, if the network was trained to say so.
        label: The likeliest class; None for a scale.
        probabilities: Class -> probability, summing to 1; None for a scale.
    """

    name: str
    value: float | None = None
    std: float | None = None
    label: str | None = None
    probabilities: Mapping[str, float] | None = None

    def to_fields(self) -> float | dict[str, object] | None:
        """Return it for JSON: the number, or the class with all probabilities."""
        if self.probabilities is None:
            return self.value if self.std is None else {"value": self.value, "std": self.std}
        return {"label": self.label, "probabilities": dict(self.probabilities)}
