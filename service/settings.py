"""The operator's settings: environment variables with the prefix `SALIENCY_`."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from saliency.backends import BackendName, Precision
from saliency.checkpoint import find_weights
from saliency.errors import ConfigError, find_first_fault

Checkpoint = Annotated[Path, BeforeValidator(find_weights)]

SHA256 = re.compile(r"[0-9a-f]{64}")


class Settings(BaseSettings):
    """The service's settings; each field is `SALIENCY_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SALIENCY_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")

    weights: Checkpoint | None = Field(
        None,
        description="a checkpoint, or released weights: default, or accurate (better maps, slower)",
    )
    device: str = Field(
        "auto", description="auto, cpu, cuda, cuda:N or mps; auto takes a GPU if there is one"
    )
    backend: BackendName = Field("auto", description="auto, torch, onnx or openvino")
    precision: Precision = Field("auto", description="auto: float16 on a GPU, float32 elsewhere")
    threads: int = Field(
        os.cpu_count() or 1,
        ge=1,
        description="CPU cores to use, for the network and everything else",
    )

    max_bytes: int = Field(32 * 2**20, ge=1, description="largest body of a request, in bytes")
    max_pixels: int = Field(50_000_000, ge=1, description="largest image, height x width in pixels")
    max_images: int = Field(16, ge=1, description="largest number of images in a batch request")
    timeout_s: float = Field(30.0, gt=0, description="longest time for a whole request, in seconds")
    keep_alive_s: int = Field(5, ge=1, description="seconds until an idle connection is closed")

    batch_size: int = Field(
        0, ge=0, description="images in a forward pass; 0: 16 on a GPU, 1 on a CPU"
    )
    batch_window_ms: float = Field(
        4.0, ge=0, description="longest wait for a batch to fill, in milliseconds"
    )
    queue_length: int = Field(
        128,
        ge=1,
        description="images accepted at once; further requests get 503, a larger batch 413",
    )
    rate_per_minute: int = Field(
        0, ge=0, description="requests per minute of one key or address; 0: no limit"
    )

    api_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="SHA-256 of each accepted key, separated by commas"
    )
    auth: Literal["on", "off"] = Field(
        "on", description="off: serve everybody without a key, on any address"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of other web pages that may send requests, separated by commas"
    )
    log_format: Literal["text", "json"] = "text"
    shutdown_s: int = Field(
        30,
        ge=1,
        description="seconds that requests in flight get when the service is asked to stop",
    )

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("api_keys")
    @classmethod
    def _hashes(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not SHA256.fullmatch(key):
                # The value is not repeated: it may be a key in the clear.
                raise ValueError(
                    "should hold SHA-256 hashes of keys, 64 digits each; "
                    "`saliency-serve --new-key` makes a key and its hash"
                )
        return keys

    @model_validator(mode="after")
    def _closed_unless_said(self) -> Settings:
        if self.auth == "on" and not self.api_keys and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} can be reached by others, and no API key is set: set "
                "SALIENCY_API_KEYS, or SALIENCY_AUTH=off to serve everybody, or host 127.0.0.1"
            )
        return self


def load_settings(**given: Any) -> Settings:
    """Read the environment; values of `given` that are not None replace it.

    Raises:
        ConfigError: A value is wrong, or would leave the service open to others.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        where, fault = find_first_fault(error.errors(include_input=False))
        name = f"SALIENCY_{where.replace('.', '_').upper()}: " if where else ""
        raise ConfigError(f"{name}{fault}.") from error


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
