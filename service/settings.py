"""What an operator can set: environment variables with the prefix `SALIENCY_`."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from saliency.backends import BackendName, Precision
from saliency.errors import ConfigError

SHA256 = re.compile(r"[0-9a-f]{64}")


class Settings(BaseSettings):
    """The service's settings; each field is `SALIENCY_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SALIENCY_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one")

    weights: Path | None = Field(None, description="a checkpoint; the released one if unset")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    backend: BackendName = Field("auto", description="auto, torch, onnx or openvino")
    precision: Precision = Field("auto", description="auto: float16 on a GPU, float32 elsewhere")
    threads: int = Field(
        os.cpu_count() or 1,
        ge=1,
        description="processor cores to use, for the network and the rest",
    )

    max_bytes: int = Field(32 * 2**20, ge=1, description="of a request's body")
    max_pixels: int = Field(50_000_000, ge=1, description="height x width of an image")
    max_images: int = Field(16, ge=1, description="in a batch request")
    timeout_s: float = Field(30.0, gt=0, description="for a whole request")

    batch_size: int = Field(
        0, ge=0, description="images in a forward pass; 0: 16 on a GPU, on a processor 1"
    )
    batch_window_ms: float = Field(4.0, ge=0, description="longest wait for a batch to fill")
    queue_length: int = Field(128, ge=1, description="images in the house; beyond it 503")
    rate_per_minute: int = Field(0, ge=0, description="requests of one key or address; 0: no limit")

    api_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="SHA-256 of each accepted key, separated by commas"
    )
    auth: Literal["on", "off"] = Field("on", description="off: serve everybody, on any address")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of other pages that may ask, separated by commas"
    )
    log_format: Literal["text", "json"] = "text"
    shutdown_s: int = Field(30, ge=1, description="for requests in flight when asked to stop")

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
                f"host {self.host} is open to others, and no key is asked for: set "
                "SALIENCY_API_KEYS, or SALIENCY_AUTH=off to serve everybody, or host 127.0.0.1"
            )
        return self


def load_settings(**given: Any) -> Settings:
    """Read the environment; `given` values that are not None come before it.

    Raises:
        ConfigError: A value is wrong, or would leave the service open to others.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = "_".join(str(part) for part in first["loc"]).upper()
        name = f"SALIENCY_{where}: " if where else ""
        raise ConfigError(f"{name}{first['msg'].removeprefix('Value error, ')}.") from error


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
