"""Analyses of predictions: focal points, regions, crops, technical quality, near-duplicates.

Pure functions, most of them on a density (H, W) that sums to 1, or on any map proportional to one.
"""

from saliency.insights.attention import COARSE_SIDE, require_density
from saliency.insights.boxes import Box, Point
from saliency.insights.crops import AspectRatio, Crop, RankedCrop, propose_crops, rank_crops
from saliency.insights.named_regions import Region, RegionFile, check_names, parse_region_file
from saliency.insights.near_duplicates import find_near_duplicates, to_perceptual_hash
from saliency.insights.quality import Quality, measure_quality
from saliency.insights.regions import RegionAttention, measure_regions
from saliency.insights.summary import FocalPoint, SaliencySummary, summarize

__all__ = [
    "COARSE_SIDE",
    "AspectRatio",
    "Box",
    "Crop",
    "FocalPoint",
    "Point",
    "Quality",
    "RankedCrop",
    "Region",
    "RegionAttention",
    "RegionFile",
    "SaliencySummary",
    "check_names",
    "find_near_duplicates",
    "measure_quality",
    "measure_regions",
    "parse_region_file",
    "propose_crops",
    "rank_crops",
    "require_density",
    "summarize",
    "to_perceptual_hash",
]
