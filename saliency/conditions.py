"""Conditions such as `score_difference < -0.3`: a name, a comparison, a number; no code is run."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from saliency.errors import ConfigError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GRAMMAR = re.compile(rf"\s*([^<>=]+?)\s*(<=|>=|<|>)\s*({_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one number that a command prints.

    Example:
        >>> condition = Condition.parse("regions.cta.share < 0.1")
        >>> condition.holds({"regions": {"cta": {"share": 0.07}}})
        True
    """

    name: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read `NAME < NUMBER`, also with <=, > or >=.

        Raises:
            ConfigError: It is something else.
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise ConfigError(
                "A condition should be a name, one of < <= > >=, and a number, like "
                f"score_difference < -0.3. Found {text!r}."
            )
        return cls(found[1], found[2], float(found[3]))

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.limit:g}"

    def value_in(self, results: Mapping[str, Any]) -> float:
        """Return the number that the name stands for: keys of nested mappings, joined by dots.

        Raises:
            ConfigError: There is no such number, or it is not known.
        """
        numbers = _flatten(results)
        if self.name not in numbers:
            raise ConfigError(
                f"A condition should name one of {', '.join(numbers)}. Found {self.name!r}."
            )
        value = numbers[self.name]
        if value is None:
            raise ConfigError(f"{self.name!r} should be a number here. Found none.")
        return value

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Return whether the comparison is true.

        Raises:
            ConfigError: There is no such number, or it is not known.
        """
        return _COMPARISONS[self.comparison](self.value_in(results), self.limit)


def _flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Return the numbers, and what has none, under their dotted names."""
    numbers: dict[str, float | None] = {}
    for key, value in results.items():
        if isinstance(value, Mapping):
            numbers |= _flatten(value, f"{prefix}{key}.")
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            numbers[f"{prefix}{key}"] = value
    return numbers
