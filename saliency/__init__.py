"""Where people look in a photo and how good it looks."""

from saliency.checkpoint import Card, Checkpoint, load_checkpoint, save_checkpoint
from saliency.ensemble import Ensemble
from saliency.errors import (
    BackendError,
    BusyError,
    CheckpointError,
    ConfigError,
    DatasetError,
    DeviceError,
    ImageDecodeError,
    ImageError,
    ImageTooLargeError,
    SaliencyError,
)
from saliency.images import ImageLimits, read_image
from saliency.predictor import Predictor
from saliency.types import Prediction, Uncertainty

__version__ = "0.3.0"

__all__ = [
    "BackendError",
    "BusyError",
    "Card",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "Ensemble",
    "ImageDecodeError",
    "ImageError",
    "ImageLimits",
    "ImageTooLargeError",
    "Prediction",
    "Predictor",
    "SaliencyError",
    "Uncertainty",
    "load_checkpoint",
    "read_image",
    "save_checkpoint",
]
