"""The network: one timm encoder, a saliency decoder, an aesthetic head, guidance between them."""

from saliency.model.network import Architecture, SaliencyNetwork

__all__ = ["Architecture", "SaliencyNetwork"]
