"""The errors a caller can cause. Each message names what was wrong and what would work."""

from collections.abc import Mapping, Sequence
from typing import Any


class SaliencyError(Exception):
    """Base of every error this package raises on purpose; its text is one readable line."""


class ImageError(SaliencyError):
    """A photo cannot be used."""


class ImageDecodeError(ImageError):
    """The bytes are no image, are truncated, or are of a kind that is not read."""


class ImageTooLargeError(ImageError):
    """The file has more bytes, or its header announces more pixels, than the limits allow."""


class RecordError(SaliencyError):
    """What should be the record of a photo is something else, or of another version."""


class DatasetError(SaliencyError):
    """A data set's folder or one of its label files is not what its layout says."""


class LabelError(ImageError, DatasetError):
    """The label file of one image is damaged, so that image cannot be used; others can."""


class ConfigError(SaliencyError, ValueError):
    """A training config, an override or a combination of options makes no sense.

    Also a ValueError, which pydantic takes from the options that it builds and names their key.
    """


class CheckpointError(SaliencyError):
    """A file is no checkpoint of this project, is damaged, or does not fit the network."""


class DeviceError(SaliencyError):
    """The requested device is not there."""


class InsightError(SaliencyError):
    """A question about a prediction makes no sense: a box beside the photo, an odd aspect."""


class BackendError(SaliencyError):
    """The requested backend is not installed, or does not go with the checkpoint or device."""


class BusyError(SaliencyError):
    """Another run writes into the same folder."""


def require(holds: bool, name: str, requirement: str, found: object) -> None:
    """Refuse an option of the wrong value.

    Raises:
        ConfigError: It does not hold.
    """
    if not holds:
        raise ConfigError(f"`{name}` should be {requirement}. Found {found!r}.")


def find_first_fault(faults: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return where the first of pydantic's `errors()` is, dotted, and its words."""
    where = ".".join(str(part) for part in faults[0]["loc"])
    return where, str(faults[0]["msg"]).removeprefix("Value error, ")
