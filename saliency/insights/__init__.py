"""Questions about one prediction: where, how much of it here, which part to keep.

Pure functions on a density (H, W) that sums to 1, or on any map proportional to one.
"""

from saliency.insights.attention import require_density
from saliency.insights.boxes import Box, Point
from saliency.insights.crops import AspectRatio, Crop, RankedCrop, propose_crops, rank_crops
from saliency.insights.regions import RegionAttention, measure_regions
from saliency.insights.summary import FocalPoint, SaliencySummary, summarize

__all__ = [
    "AspectRatio",
    "Box",
    "Crop",
    "FocalPoint",
    "Point",
    "RankedCrop",
    "RegionAttention",
    "SaliencySummary",
    "measure_regions",
    "propose_crops",
    "rank_crops",
    "require_density",
    "summarize",
]
