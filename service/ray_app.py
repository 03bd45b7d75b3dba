"""The service on Ray Serve: the same application in replicas, on one machine or a cluster.

    serve run service.ray_app:app

A replica is the whole service with a Predictor of its own. On a GPU it forms its batches itself
(`service.batching`): Ray's `serve.batch` would form them from requests, before it is known which
photos have the same shape. All settings come from the environment of `serve run`: `SALIENCY_*` as
for `saliency-serve`, and `SALIENCY_RAY_*` (see `RaySettings`). Host and port are set by Ray.
"""

from __future__ import annotations

import os
from typing import Any

# Ray reports its use to its makers; here it does so only if the user asks for it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from ray import serve
from ray.serve.config import AutoscalingConfig

from saliency.errors import ConfigError, find_first_fault
from service.replica import to_builder
from service.settings import load_settings


class RaySettings(BaseSettings):
    """Number and size of replicas; each field is `SALIENCY_RAY_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SALIENCY_RAY_", extra="ignore", frozen=True)

    min_replicas: int = Field(1, ge=1, description="smallest number of replicas")
    max_replicas: int = Field(4, ge=1, description="largest number of replicas")
    cores: int = Field(1, ge=1, description="cores of a replica, its SALIENCY_THREADS")
    gpus: float = Field(
        0, ge=0, description="GPUs of a replica; with a fraction, replicas share a GPU"
    )
    target_requests: int = Field(
        0,
        ge=0,
        description="requests per replica before more start; 0: 2 per core, 16 on a GPU",
    )

    @model_validator(mode="after")
    def _min_before_max(self) -> RaySettings:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"SALIENCY_RAY_MAX_REPLICAS should be at least SALIENCY_RAY_MIN_REPLICAS, "
                f"{self.min_replicas}. Found {self.max_replicas}"
            )
        return self


def load_ray_settings() -> RaySettings:
    """Read the environment.

    Raises:
        ConfigError: A value is wrong.
    """
    try:
        return RaySettings()
    except ValidationError as error:
        where, fault = find_first_fault(error.errors(include_input=False))
        name = f"SALIENCY_RAY_{where.upper()}: " if where else ""
        raise ConfigError(f"{name}{fault}.") from error


def deploy() -> serve.Application:
    """Return the service as a Ray Serve application.

    Raises:
        ConfigError: A value in the environment is wrong, or would leave the service open to others.
    """
    spread = load_ray_settings()
    # Ray's address is not known here, so the service asks for keys as on a public address.
    settings = load_settings(host="0.0.0.0", threads=spread.cores)  # noqa: S104
    target = spread.target_requests or (16 if spread.gpus else 2 * spread.cores)
    deployment: Any = serve.deployment(
        serve.ingress(to_builder(settings))(),
        name="aesthetic-saliency",
        ray_actor_options={"num_cpus": spread.cores, "num_gpus": spread.gpus},
        autoscaling_config=AutoscalingConfig(
            min_replicas=spread.min_replicas,
            max_replicas=spread.max_replicas,
            target_ongoing_requests=target,
        ),
        # Ray refuses requests that a replica's queue cannot hold as the replica would: with 503.
        max_ongoing_requests=settings.queue_length,
        max_queued_requests=settings.queue_length,
        graceful_shutdown_timeout_s=settings.shutdown_s,
    )
    bound: serve.Application = deployment.bind()
    return bound


app = deploy()
