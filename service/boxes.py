"""Reads the boxes of a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from saliency.insights import Box, Region
from service.problems import Problem

MAX_BOXES = 1000


def read_boxes(in_query: Sequence[str], in_form: Sequence[str]) -> list[Region]:
    """Return the boxes of a request with their names; a box without a name gets its number.

    Args:
        in_query: Texts of the form `x,y,width,height`.
        in_form: JSON lists of `[x, y, width, height]` or of `{"x", "y", "width", "height"}`, which
            may have a `name`.

    Raises:
        Problem: There is no box, there are too many, or one has neither form.
        InsightError: The numbers make no box.
    """
    regions = [Region("", Box.parse(text)) for text in in_query[: MAX_BOXES + 1]]
    for text in in_form:
        try:
            regions += [_read_box(row) for row in json.loads(text)[: MAX_BOXES + 1]]
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
            raise Problem(
                400,
                "bad_request",
                "`boxes` should be JSON such as [[x, y, width, height], ...]. "
                f"Found {text[:100]!r}.",
            ) from error
    if not 1 <= len(regions) <= MAX_BOXES:
        found = "none" if not regions else f"more than {MAX_BOXES}"
        raise Problem(
            400, "bad_request", f"A request should name 1 to {MAX_BOXES} boxes. Found {found}."
        )
    return [
        Region(region.name or str(number), region.box)
        for number, region in enumerate(regions, start=1)
    ]


def _read_box(row: Any) -> Region:
    if not isinstance(row, dict):
        return Region("", Box(*map(_to_float, row)))
    name = row.get("name", "")
    if not isinstance(name, str):
        raise TypeError
    sides = (_to_float(row[side]) for side in ("x", "y", "width", "height"))
    return Region(name.encode("utf-8", "backslashreplace").decode(), Box(*sides))


def _to_float(value: object) -> float:
    """Return a JSON number; refuse texts of digits and `true`, which Python would accept."""
    if type(value) not in (int, float):
        raise TypeError
    return float(value)  # type: ignore[arg-type]
