"""The service on Ray Serve: the same application in replicas, on one machine or a cluster.

    serve run service.ray_app:app

A replica is the whole service with a Predictor of its own, and on a GPU it forms its batches itself
(`service.batching`): Ray's `serve.batch` would form them of requests, before it is known which
photos are of one shape. Everything is set in the environment of `serve run`, `SALIENCY_*` as for
`saliency-serve` and `SALIENCY_RAY_*` (see `RaySettings`); but for host and port, which are Ray's.
"""

from __future__ import annotations

import os
from typing import Any

# What Ray would send home about its use, it may send once the user says so.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from ray import serve
from ray.serve.config import AutoscalingConfig

from saliency.errors import ConfigError
from service.replica import to_builder
from service.settings import load_settings


class RaySettings(BaseSettings):
    """How the service spreads; each field is `SALIENCY_RAY_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SALIENCY_RAY_", extra="ignore", frozen=True)

    min_replicas: int = Field(1, ge=1, description="that run however little is asked")
    max_replicas: int = Field(4, ge=1, description="that run however much is asked")
    cores: int = Field(1, ge=1, description="of a replica; its SALIENCY_THREADS")
    gpus: float = Field(0, ge=0, description="of a replica; a part of one is shared with others")
    target_requests: int = Field(
        0, ge=0, description="in work at a replica, before there are more; 0: 2 a core, 16 on a GPU"
    )

    @model_validator(mode="after")
    def _min_before_max(self) -> RaySettings:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"SALIENCY_RAY_MAX_REPLICAS should be at least {self.min_replicas}, the least that "
                f"run. Found {self.max_replicas}"
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
        first = error.errors(include_input=False)[0]
        name = "".join(f"SALIENCY_RAY_{str(part).upper()}: " for part in first["loc"])
        raise ConfigError(f"{name}{first['msg'].removeprefix('Value error, ')}.") from error


def deploy() -> serve.Application:
    """Return the service as Ray deploys it.

    Raises:
        ConfigError: A value in the environment is wrong, or would leave the service open to others.
    """
    spread = load_ray_settings()
    # Where Ray listens is not known here, so the service is closed as if it were everywhere.
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
        # What a replica's own queue cannot hold, Ray refuses as the replica would: with 503.
        max_ongoing_requests=settings.queue_length,
        max_queued_requests=settings.queue_length,
        graceful_shutdown_timeout_s=settings.shutdown_s,
    )
    bound: serve.Application = deployment.bind()
    return bound


app = deploy()
