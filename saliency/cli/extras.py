"""Messages for verbs that need an extra which is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from saliency import extras

TRAINING = ("torch", "torchvision", "timm", "albumentations", "pydantic", "scipy", "tensorboard")
"""Packages of the training extra; some are imported only minutes after the start."""


@contextmanager
def require_extra(verb: str, extra: str) -> Iterator[None]:
    """Turn a failed import inside the context into an error that says how to get the extra."""
    with extras.require_extra(f"`saliency {verb}`", extra):
        yield


@contextmanager
def training_extra(verb: str) -> Iterator[None]:
    """Fail with an error that says how to get the training extra if a part of it is missing."""
    with require_extra(verb, "train"):
        for package in TRAINING:
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
        yield
