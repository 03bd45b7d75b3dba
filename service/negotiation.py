"""Chooses the media type of an answer by the Accept header."""

from __future__ import annotations

from collections.abc import Sequence

from service.problems import Problem


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered media type that the client prefers; the first of equals.

    Args:
        accept: The Accept header; None accepts everything.
        offered: Media types, the service's preferred one first.

    Raises:
        Problem: The client accepts none of them (406).

    Source:
        RFC 9110, section 12.5.1: the most specific range that fits decides a type's quality.
    """
    ranges = [_read_range(part) for part in (accept or "*/*").split(",") if part.strip()]

    def quality(media_type: str) -> float:
        kind = media_type.split("/")[0]
        for wanted in (media_type, f"{kind}/*", "*/*"):
            for name, value in ranges:
                if name == wanted:
                    return value
        return 0.0

    best = max(offered, key=quality)  # the first of equals
    if quality(best) <= 0:
        raise Problem(
            406,
            "not_acceptable",
            f"`Accept` should allow one of {', '.join(offered)}. Found {(accept or '')[:200]!r}.",
        )
    return best


def _read_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, min(1.0, max(0.0, float(value)))
            except ValueError:
                return name, 0.0
    return name, 1.0
