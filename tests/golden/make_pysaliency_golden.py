"""Write `pysaliency.json`: small maps and fixations with the numbers pysaliency gives for them.

Run `python tests/golden/make_pysaliency_golden.py` with pysaliency 0.2.22 and a setuptools below
81, whose `pkg_resources` it imports. The inputs are stored beside the numbers, so that the tests
need neither pysaliency nor this script.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pysaliency
from pysaliency.metrics import CC, SIM, MIT_KLDiv
from scipy.ndimage import gaussian_filter

SEED = 20240501
SIZES = ((12, 16), (15, 10), (9, 14))
DECIMALS = 4


class StoredMaps(pysaliency.SaliencyMapModel):
    """Saliency maps by image size, which tells the images apart here."""

    def __init__(self, maps):
        super().__init__()
        self.maps = {saliency_map.shape: saliency_map for saliency_map in maps}

    def _saliency_map(self, stimulus):
        return self.maps[stimulus.shape[:2]]


class StoredDensities(pysaliency.Model):
    """Densities by image size."""

    def __init__(self, densities):
        super().__init__()
        self.densities = {density.shape: density for density in densities}

    def _log_density(self, stimulus):
        return np.log(self.densities[stimulus.shape[:2]])


def main():
    rng = np.random.default_rng(SEED)
    predictions, targets, center_biases, xs, ys, owners = [], [], [], [], [], []
    for image, (height, width) in enumerate(SIZES):
        smooth = gaussian_filter(rng.random((height, width)), 1.5)
        # Few levels give ties, zeros meet the floors of KLDiv, in predictions and in targets.
        smooth = np.maximum(smooth - np.quantile(smooth, 0.2), 0)
        predictions.append(np.round(10 * smooth / smooth.max(), image))
        target = gaussian_filter(rng.random((height, width)) ** 8, 0.7)
        targets.append(np.round(np.maximum(target - np.quantile(target, 0.3), 0), DECIMALS))
        center = np.zeros((height, width))
        center[height // 2, width // 2] = 1
        center_biases.append(np.round(gaussian_filter(center, 4, mode="nearest"), 5) + 1e-4)
        count = 12 + 4 * image
        xs.append(np.round(rng.uniform(0, width - 0.01, count), 2))
        ys.append(np.round(rng.uniform(0, height - 0.01, count), 2))
        xs[-1][1:4], ys[-1][1:4] = xs[-1][0], ys[-1][0]  # repeats
        owners.append(np.full(count, image))

    stimuli = pysaliency.Stimuli([np.zeros((*size, 3), np.uint8) for size in SIZES])
    fixations = pysaliency.Fixations.create_without_history(
        np.concatenate(xs), np.concatenate(ys), np.concatenate(owners)
    )
    maps = StoredMaps(predictions)
    # One AUC a fixation: their mean is the image's. `AUC_per_image` needs NumPy's removed `trapz`.
    aucs = maps.AUCs(stimuli, fixations)
    shuffled_aucs = maps.AUCs(stimuli, fixations, nonfixations="shuffled")
    nss_values = maps.NSSs(stimuli, fixations)
    # Information gain wants a density without zeros.
    gains = StoredDensities([(p + 1) / (p + 1).sum() for p in predictions]).information_gains(
        stimuli, fixations, StoredDensities([c / c.sum() for c in center_biases])
    )

    images = [
        {
            "prediction": predictions[n].tolist(),
            "target": targets[n].tolist(),
            "center_bias": np.round(center_biases[n], 5).tolist(),
            "xs": xs[n].tolist(),
            "ys": ys[n].tolist(),
            "nss": float(nss_values[fixations.n == n].mean()),
            "cc": float(CC(predictions[n], targets[n])),
            "sim": float(SIM(predictions[n], targets[n])),
            "kl_div": float(MIT_KLDiv(predictions[n], targets[n])),
            "auc": float(aucs[fixations.n == n].mean()),
            "auc_shuffled": float(shuffled_aucs[fixations.n == n].mean()),
            "information_gain": float(gains[fixations.n == n].mean()),
        }
        for n in range(len(SIZES))
    ]
    golden = {
        "pysaliency": importlib.metadata.version("pysaliency"),
        "seed": SEED,
        "images": images,
    }
    path = Path(__file__).with_name("pysaliency.json")
    path.write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with np.errstate(divide="ignore"):  # pysaliency takes the logarithm of zeros
        main()
