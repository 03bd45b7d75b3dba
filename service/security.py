"""API keys and rate limits."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence

from fastapi import Request

from service.problems import Problem

MAX_CLIENTS = 10_000
"""Number of clients whose rate is kept; if there are more, the longest inactive one is dropped."""


def new_key() -> tuple[str, str]:
    """Return a fresh API key and its SHA-256."""
    key = secrets.token_urlsafe(32)
    return key, hash_key(key)


def hash_key(key: str) -> str:
    """Return the hash of a key for the settings; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Gate:
    """A dependency of every route below `/v1`: checks the key, then the rate."""

    def __init__(self, key_hashes: Sequence[str], rate_per_minute: int) -> None:
        """Build the gate; without hashes no key is needed, with a rate of 0 there is no limit."""
        self._hashes = tuple(key_hashes)
        self._rate = rate_per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, request: Request) -> None:
        """Let the request pass.

        Raises:
            Problem: 401 without an accepted key, 429 beyond the rate.
        """
        client = request.client.host if request.client else ""
        if self._hashes:
            client = self._check_key(request)
        if self._rate:
            self._count(client)

    def _check_key(self, request: Request) -> str:
        given = request.headers.get("X-API-Key", "")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = token.strip()
        found = hash_key(given)
        # Every hash is compared, in constant time, so that the time reveals nothing about them.
        matches = [hmac.compare_digest(found, accepted) for accepted in self._hashes]
        if not any(matches):
            raise Problem(
                401,
                "unauthorized",
                "An accepted API key should come in `Authorization: Bearer KEY` or `X-API-Key`. "
                + ("Found another." if given else "Found none."),
                {"WWW-Authenticate": "Bearer"},
            )
        return found

    def _count(self, client: str) -> None:
        """Take a token from the client's bucket, which holds one minute's worth."""
        now = time.monotonic()
        tokens, since = self._buckets.pop(client, (float(self._rate), now))
        per_second = self._rate / 60
        tokens = min(float(self._rate), tokens + (now - since) * per_second)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait_s = math.ceil((1 - tokens) / per_second)
            raise Problem(
                429,
                "too_many_requests",
                f"At most {self._rate} requests per minute are answered; try again in {wait_s} s.",
                {"Retry-After": str(wait_s)},
            )
