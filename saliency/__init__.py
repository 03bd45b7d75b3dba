"""Where people look in a photo and how good it looks."""

from saliency.checkpoint import Card, Checkpoint, load_checkpoint, save_checkpoint
from saliency.errors import (
    BackendError,
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
from saliency.types import Prediction

__version__ = "0.2.0"

__all__ = [
    "BackendError",
    "Card",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "ImageDecodeError",
    "ImageError",
    "ImageLimits",
    "ImageTooLargeError",
    "Prediction",
    "Predictor",
    "SaliencyError",
    "load_checkpoint",
    "read_image",
    "save_checkpoint",
]
