"""What a plain install lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

from saliency.errors import ConfigError


@contextmanager
def require_extra(verb: str, extra: str) -> Iterator[None]:
    """Say how to get an extra where an import inside fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`saliency {verb}` needs {error.name}, which is not installed; "
            f"to get it: pip install 'aesthetic-saliency[{extra}]'"
        ) from error


@contextmanager
def training_extra(verb: str) -> Iterator[None]:
    """Say how to get the training extra where an import inside fails for want of it."""
    with require_extra(verb, "train"):
        yield
