"""What a plain install lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

from saliency.errors import ConfigError


@contextmanager
def training_extra(verb: str) -> Iterator[None]:
    """Say how to get the training extra where an import inside fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`saliency {verb}` needs {error.name}, which is not installed; "
            "to get it: pip install 'aesthetic-saliency[train]'"
        ) from error
