"""The errors a caller can cause. Each message names what was wrong and what would work."""


class SaliencyError(Exception):
    """Base of every error this package raises on purpose; its text is one readable line."""


class ImageError(SaliencyError):
    """A photo cannot be used."""


class ImageDecodeError(ImageError):
    """The bytes are no image, are truncated, or are of a kind that is not read."""


class ImageTooLargeError(ImageError):
    """The file has more bytes, or its header announces more pixels, than the limits allow."""


class DatasetError(SaliencyError):
    """A data set's folder or one of its label files is not what its layout says."""


class ConfigError(SaliencyError):
    """A training config, an override or a combination of options makes no sense."""


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
