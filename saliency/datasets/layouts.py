"""The layouts that a recipe can name: one file and one entry for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from saliency.attributes import Attribute
from saliency.datasets.ava import AvaDataset
from saliency.datasets.base import LabelledDataset
from saliency.datasets.osie import OsieDataset
from saliency.datasets.ratings import RatingsDataset
from saliency.datasets.salicon import SaliconDataset

if TYPE_CHECKING:
    from saliency.datasets.config import SetConfig

Open = Callable[["SetConfig", Path, Mapping[str, Attribute] | None], LabelledDataset]
"""Function that opens a set, given its config, its folder and the attribute of each column."""


class Layout(NamedTuple):
    """How the files of a set are organised.

    Attributes:
        open: Function that opens a whole set; None for sets that are drawn in code.
        rated: Whether its images have ratings (else they have fixations).
    """

    open: Open | None
    rated: bool = False


def _open_ratings(
    config: SetConfig, folder: Path, attributes: Mapping[str, Attribute] | None
) -> LabelledDataset:
    return RatingsDataset(
        folder, config.name, low=config.low, high=config.high, attributes=attributes
    )


LAYOUTS: dict[str, Layout] = {
    "salicon": Layout(lambda config, folder, _: SaliconDataset(folder, name=config.name)),
    "osie": Layout(lambda config, folder, _: OsieDataset(folder, config.name)),
    "ava": Layout(lambda config, folder, _: AvaDataset(folder, name=config.name), rated=True),
    "ratings": Layout(_open_ratings, rated=True),
    "drawn": Layout(None),
}
"""Layouts by their name, the value of `layout` in a recipe."""
