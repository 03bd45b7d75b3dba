"""Does a map of sharpness guide saliency? Run: python data/quality_guidance.py DATA OUT.

A small network first learns where photos lost detail, from photos without labels that are spoilt in
one region alone. Then it is held, and its map scales and shifts the channels of every stage of the
saliency decoder, place by place. The arms of `quality_guidance.toml` differ in that map alone: no
map, the map of the photo, and the same map turned by 180 degrees, which is a placebo.

OUT keeps what is done, and a second call goes on with what is missing. Prints how well the map
finds regions that are spoilt. For tables and a report of the finished runs:

    saliency experiment ablation data/quality_guidance.toml -o OUT --hours 0
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.stats import mannwhitneyu
from torch import Tensor, nn

import saliency.model
import saliency.training.building
from saliency.datasets.photos import PhotosDataset
from saliency.distortions import DISTORTIONS
from saliency.experiments.ablation.measure import PACKED, RESULT, pack
from saliency.experiments.ablation.running import finished, run_one
from saliency.experiments.ablation.study import Study
from saliency.model import Architecture, SaliencyNetwork
from saliency.model.decoder import SaliencyDecoder
from saliency.model.encoders import build_encoder
from saliency.types import Output

STUDY = Path(__file__).with_suffix(".toml")
KINDS = ("defocus", "motion", "low_resolution", "noise", "jpeg")
STEPS, BATCH, HELD_OUT = 600, 8, 200
WIDTH = 32


class QualityMap(nn.Module):
    """Where a photo lost detail: (B, 1, h/4, w/4) in 0..1, about the severity of the damage."""

    def __init__(self, encoder_name: str, weights: Path) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder_name, final_features=False, weights=weights)
        self.encoder.requires_grad_(False)
        self.reduce = nn.ModuleList(nn.Conv2d(c, WIDTH, 1) for c in self.encoder.channels)
        self.mix = nn.Sequential(
            nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, 1, 1)
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return (B, 1, h/4, w/4) logits of (B, 3, h, w) normalised images."""
        with torch.no_grad():
            features = self.encoder(images)
        size = features[self.encoder.strides.index(4)].shape[2:]
        reduced = [
            F.interpolate(layer(x), size, mode="bilinear")
            for layer, x in zip(self.reduce, features, strict=True)
        ]
        mixed: Tensor = self.mix(torch.stack(reduced).sum(dim=0))
        return mixed

    def forward(self, images: Tensor) -> Tensor:
        """Return the map of (B, 3, h, w) normalised images."""
        return self.logits(images).sigmoid()

    def normalize(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Turn (h, w, 3) images into the network's input."""
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (self.encoder.mean, self.encoder.std))
        return (pixels - mean) / std


def spoil_region(
    image: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32], str]:
    """Return the photo at `size` with one region spoilt, (h, w) severities, and the kind."""
    height, width = size
    large = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_AREA)
    kind, severity = str(rng.choice(KINDS)), float(rng.uniform(0.2, 1))
    spoilt = DISTORTIONS[kind](large, severity, rng)
    region = np.zeros((2 * height, 2 * width), np.float32)
    center = (int(rng.integers(2 * width)), int(rng.integers(2 * height)))
    axes = tuple(int(rng.uniform(0.15, 0.45) * side) for side in (2 * width, 2 * height))
    cv2.ellipse(region, center, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    region = cv2.GaussianBlur(region, (0, 0), 6)
    if rng.random() < 0.5:
        region = 1 - region
    mixed = region[..., None] * spoilt + (1 - region[..., None]) * large
    small = cv2.resize(mixed, (width, height), interpolation=cv2.INTER_AREA)
    where = cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA)
    return small.round().astype(np.uint8), where * severity, kind


def learn_map(data: Path, size: tuple[int, int], quality: QualityMap) -> None:
    """Train the head of `quality` on all photos but the first HELD_OUT."""
    photos = PhotosDataset(data / "unlabelled")
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW([p for p in quality.parameters() if p.requires_grad], 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, STEPS)
    for step in range(STEPS):
        chosen = rng.integers(HELD_OUT, len(photos), BATCH)
        copies = [spoil_region(photos[int(i)].image, size, rng) for i in chosen]
        logits = quality.logits(quality.normalize([image for image, *_ in copies]))
        wanted = torch.from_numpy(np.stack([where for _, where, _ in copies]))[:, None]
        loss = F.binary_cross_entropy_with_logits(
            logits, F.adaptive_avg_pool2d(wanted, logits.shape[2:])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"map: step {step + 1} of {STEPS}, loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def judge_map(data: Path, size: tuple[int, int], quality: QualityMap) -> None:
    """Print, for photos it has not seen, how often a spoilt place has more than a sound one."""
    photos = PhotosDataset(data / "unlabelled")
    rng = np.random.default_rng(1)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for index in range(HELD_OUT):
        image, where, kind = spoil_region(photos[index].image, size, rng)
        map_ = quality(quality.normalize([image]))
        there = F.adaptive_avg_pool2d(torch.from_numpy(where)[None, None], map_.shape[2:]).numpy()
        spoilt = there > there.max() / 2
        if 0.05 < spoilt.mean() < 0.95:
            one, other = map_.numpy()[spoilt], map_.numpy()[~spoilt]
            found[kind].append(mannwhitneyu(one, other).statistic / (one.size * other.size))
    print("| kind | photos | area under the curve |\n|---|---|---|")
    for kind, areas in found.items():
        print(f"| {kind} | {len(areas)} | {np.mean(areas):.3f} |")


class PlaceFiLM(nn.Module):
    """Scale and shift each channel, place by place, by one map; the identity before training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.modulation = nn.Conv2d(1, 2 * channels, 1)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Return (B, channels, h, w) modulated by `places` (B, 1, H, W)."""
        here = F.adaptive_avg_pool2d(places, x.shape[2:])
        scale, shift = self.modulation(here).chunk(2, dim=1)
        guided: Tensor = (1 + scale) * x + shift
        return guided


class GuidedDecoder(SaliencyDecoder):
    """A decoder that `places`, (B, 1, h, w), guides."""

    places: Tensor

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__(in_channels, channels)
        for stage in self.stages:
            stage.film = PlaceFiLM(channels)

    def forward(self, features: Sequence[Tensor], *_: object) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return what a `SaliencyDecoder` returns."""
        return super().forward(features, self.places)


class GuidedNetwork(SaliencyNetwork):
    """A network for saliency alone, guided by a map that is not trained with it."""

    quality: QualityMap
    turned: bool

    def __init__(self, architecture: Architecture, **options: object) -> None:
        super().__init__(architecture, **options)
        channels = [self.encoder.channels[stage] for stage in self.saliency_stages]
        self.decoder = GuidedDecoder(channels, architecture.decoder_channels)

    def forward(self, images: Tensor, *arguments: object, **options: object) -> Output:
        """Return what a `SaliencyNetwork` returns."""
        with torch.no_grad():
            places = type(self).quality(images)
        self.decoder.places = places.flip(2, 3) if type(self).turned else places
        return super().forward(images, *arguments, **options)


def run_missing(study: Study, data: Path, out: Path, quality: QualityMap) -> None:
    """Train and measure every run that has no result."""
    GuidedNetwork.quality = quality
    for run in study.runs():
        folder = run.folder(out)
        if (folder / RESULT).is_file():
            continue
        GuidedNetwork.turned = run.arm == "turned"
        network = SaliencyNetwork if run.arm == "none" else GuidedNetwork
        saliency.training.building.SaliencyNetwork = network  # where training builds it,
        saliency.model.SaliencyNetwork = network  # and where a checkpoint is loaded
        ending = run_one(run, study.config(run, out), study.identity(run), out, data, "cpu")
        if ending.error:
            raise SystemExit(f"{folder}: {ending.error}")
        if ending.stopped:
            raise SystemExit("stopped; run the same command again to continue")


def main() -> None:
    """Learn the map, print how good it is, run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    data, out = options.data, options.out
    out.mkdir(parents=True, exist_ok=True)
    study = Study.load(STUDY)
    config = study.config(next(study.runs()), out)
    size = (config.data.height, config.data.width)
    torch.manual_seed(0)
    quality = QualityMap(config.model.encoder, data / config.model.encoder_weights).eval()
    kept = out / "map.safetensors"
    if not kept.is_file():
        learn_map(data, size, quality)
        save_file(quality.state_dict(), kept)
    quality.load_state_dict(load_file(kept))
    judge_map(data, size, quality)
    run_missing(study, data, out, quality)
    pack(finished(study, out), out / PACKED)


if __name__ == "__main__":
    main()
