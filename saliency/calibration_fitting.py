"""Fit a calibration to your own ratings, and measure it on ratings that it has not seen."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.calibration import Calibration
from saliency.errors import ConfigError, DatasetError
from saliency.metrics import Interval, bootstrap_interval, plcc, srcc

HELD_OUT_SHARE = 1 / 3
MINIMUM_ROWS = 30
"""Least number of rated photos; with fewer a fit depends more on chance than on taste."""

Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


class Rating(NamedTuple):
    """The rating of one photo.

    Attributes:
        path: Path of the photo.
        rating: Rating on your own scale.
        group: Name of photos that belong together, such as one shoot; else the photo's path.
    """

    path: Path
    rating: float
    group: str


class Measure(NamedTuple):
    """A metric and its 95 % bootstrap interval over groups of photos."""

    value: float
    interval: Interval


class Agreement(NamedTuple):
    """Agreement with ratings: rank and linear correlation, mean absolute error."""

    srcc: Measure
    plcc: Measure
    mae: Measure


class HeldOut(NamedTuple):
    """Agreement on photos that the map had not seen.

    Attributes:
        fitted_rows: Number of photos that the map was fitted to.
        rows: Number of held-out photos, which are measured.
        before: Agreement of the score, stretched from 1..10 to your own scale.
        after: Agreement of the calibrated score.
    """

    fitted_rows: int
    rows: int
    before: Agreement
    after: Agreement


def read_ratings(table: Path, images: Path, column: str, low: float, high: float) -> list[Rating]:
    """Read ratings from a CSV with the columns `file`, ratings and, optionally, `group`.

    Args:
        table: The CSV.
        images: Folder that the names in `file` start from.
        column: Name of the column of ratings.
        low: Worst rating of the scale.
        high: Best rating of the scale.

    Raises:
        DatasetError: The file is of another kind, a line has more or fewer cells than columns, or a
            rating is not a number on the scale.
    """
    if not low < high:
        raise DatasetError(f"`low` should be below `high`. Found {low:g} and {high:g}.")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            columns = list(rows.fieldnames or ())
            if columns.count("file") != 1 or columns.count(column) != 1:
                raise DatasetError(
                    f"{table} should have the columns `file` and `{column}`, each once. "
                    f"Found {', '.join(columns) or 'none'}."
                )
            ratings = []
            for row in rows:
                if None in row or None in row.values() or not row["file"]:  # 3,5 is two cells
                    raise DatasetError(
                        f"{table}, line {rows.line_num}: there should be {len(columns)} cells, the "
                        "file among them. Found more, fewer or no file."
                    )
                try:
                    rating = float(row[column])
                except ValueError:
                    rating = float("nan")
                if not low <= rating <= high:
                    raise DatasetError(
                        f"{table}, line {rows.line_num}: `{column}` should be a number in "
                        f"{low:g}..{high:g}. Found {row[column]!r}."
                    )
                path = images / row["file"]
                ratings.append(Rating(path, rating, row.get("group") or str(path)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table} should be a CSV file. Found: {error}.") from error
    return ratings


def fit_calibration(
    scores: NDArray[np.float64], ratings: NDArray[np.float64], weights_sha256: str
) -> Calibration:
    """Fit the monotone map with the least squared error.

    Args:
        scores: (N,) scores of the network, 1..10.
        ratings: (N,) ratings of the same photos, on any scale.
        weights_sha256: SHA-256 of the checkpoint that gave the scores.

    Raises:
        ConfigError: scikit-learn is not installed.

    Source: Zadrozny, Elkan, Transforming classifier scores into accurate multiclass probability
    estimates, KDD 2002.
    """
    try:
        from sklearn.isotonic import IsotonicRegression
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Calibrating needs {error.name}, which is not installed; "
            "to get it: pip install 'aesthetic-saliency[calibrate]'"
        ) from error
    fitted = IsotonicRegression().fit(scores, ratings)
    return Calibration(
        tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()), weights_sha256
    )


def measure_held_out(
    scores: NDArray[np.float64],
    ratings: NDArray[np.float64],
    groups: NDArray[np.str_],
    low: float,
    high: float,
) -> HeldOut:
    """Measure what calibration does to photos that it has not seen.

    Groups are drawn with a fixed seed until they contain a third of the photos; a map is fitted to
    the rest and measured on them.

    Args:
        scores: (N,) scores of the network, 1..10.
        ratings: (N,) ratings in `low`..`high`.
        groups: (N,) labels of photos that belong together.
        low: Worst rating of the scale.
        high: Best rating of the scale.

    Raises:
        DatasetError: There are fewer than 30 photos, or too few groups to divide them.
        ConfigError: scikit-learn is not installed.

    Note: One map on one part, not folds: photos rated by different maps cannot be ranked together.
    """
    held_out = _draw_groups(groups, HELD_OUT_SHARE)
    fitted = ~held_out
    if len(scores) < MINIMUM_ROWS or held_out.sum() < 2 or fitted.sum() < 2:
        raise DatasetError(
            f"There should be ratings of at least {MINIMUM_ROWS} photos in several groups. Found "
            f"{len(scores)} photos that can be read, in {len(np.unique(groups))} groups."
        )
    calibration = fit_calibration(scores[fitted], ratings[fitted], weights_sha256="")
    unseen, rated, labels = scores[held_out], ratings[held_out], groups[held_out]
    stretched = low + (unseen - 1) / 9 * (high - low)
    return HeldOut(
        fitted_rows=int(fitted.sum()),
        rows=len(rated),
        before=_measure(stretched, rated, labels),
        after=_measure(calibration.apply(unseen), rated, labels),
    )


def _draw_groups(groups: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Return which rows are in groups drawn until they hold `share` of all rows."""
    names, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    held_before = np.cumsum(sizes[order]) - sizes[order]
    drawn = order[held_before < share * len(groups)]
    return np.isin(group_of_row, drawn)


def _measure(
    predicted: NDArray[np.float64], rated: NDArray[np.float64], groups: NDArray[np.str_]
) -> Agreement:
    def measure(statistic: Statistic) -> Measure:
        interval = bootstrap_interval(statistic, predicted, rated, groups=groups)
        return Measure(float(statistic(predicted, rated)), interval)

    return Agreement(measure(srcc), measure(plcc), measure(_mean_absolute_error))


def _mean_absolute_error(prediction: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    return float(np.abs(prediction - target).mean())
