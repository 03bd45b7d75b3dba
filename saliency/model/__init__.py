"""The network: one timm encoder, a saliency decoder, an aesthetic head, guidance between them."""

from saliency.model.architecture import Architecture
from saliency.model.network import SaliencyNetwork

__all__ = ["Architecture", "SaliencyNetwork"]
