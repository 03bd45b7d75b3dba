"""Write data/splits/*.csv: which image of each set is for training, validation or test.

Near twins (thumbnail correlation above `TWIN_CORRELATION`, within or across sets) and images
of one OASIS theme `group` always share a part, so that no test photo has a sibling in training.
The files are committed; run this only to see how they came about:

    python data/make_splits.py ../shared/data
"""

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np

SEED = 20260
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.08
FOLDS = 5  # the test part is fold 0
TWIN_CORRELATION = 0.93


def list_images(root: Path) -> list[tuple[str, str, Path]]:
    """Return (set, image id, path) of every labelled image below `root`."""
    found: list[tuple[str, str, Path]] = []
    for name in ("osie", "eyecrowd", "scene"):
        found += [
            (name, path.name, path) for path in sorted((root / name / "stimuli").glob("*.jpg"))
        ]
    for part in ("train", "val"):
        paths = sorted((root / "salicon/images" / part).glob("*.jpg"))
        found += [("salicon", path.name, path) for path in paths]
    found += [("oasis", path.name, path) for path in sorted((root / "oasis/images").glob("*.jpg"))]
    return found


def find_clusters(images: list[tuple[str, str, Path]], groups: dict[str, str]) -> list[int]:
    """Return a cluster number an image; near twins and images of one group share it."""
    thumbnails = []
    for _, _, path in images:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        thumbnails.append((small - small.mean()) / (np.linalg.norm(small - small.mean()) + 1e-9))
    stacked = np.stack(thumbnails)
    mirrored = stacked.reshape(-1, 16, 16)[:, :, ::-1].reshape(len(images), -1)
    similarity = np.maximum(stacked @ stacked.T, stacked @ mirrored.T)

    parent = list(range(len(images)))

    def root_of(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in zip(*np.where(np.triu(similarity, 1) > TWIN_CORRELATION), strict=True):
        parent[root_of(int(j))] = root_of(int(i))
    first_of_group: dict[str, int] = {}
    for i, (name, image_id, _) in enumerate(images):
        if name == "oasis":
            parent[root_of(i)] = root_of(first_of_group.setdefault(groups[image_id], i))
    return [root_of(i) for i in range(len(images))]


def assign(images: list[tuple[str, str, Path]], clusters: list[int]) -> dict[int, tuple[str, int]]:
    """Return cluster -> (part, fold), filling the parts of every set to their shares."""
    rng = np.random.default_rng(SEED)
    members: dict[int, Counter[str]] = defaultdict(Counter)
    for (name, _, _), cluster in zip(images, clusters, strict=True):
        members[cluster][name] += 1
    totals = Counter(name for name, _, _ in images)
    order = list(members)
    rng.shuffle(order)
    order.sort(key=lambda cluster: -sum(members[cluster].values()))  # the large ones first

    part_of: dict[int, tuple[str, int]] = {}
    filled: dict[tuple[str, str], int] = defaultdict(int)
    fold_sizes = [0] * FOLDS
    shares = {
        "train": 1 - TEST_SHARE - VALIDATION_SHARE,
        "val": VALIDATION_SHARE,
        "test": TEST_SHARE,
    }
    for cluster in order:
        counts = members[cluster]
        fold = -1
        if counts["oasis"]:
            fold = int(np.argmin(fold_sizes))
            fold_sizes[fold] += counts["oasis"]
            if fold == 0:
                part = "test"
            else:  # every tenth rated image of the other folds is for validation
                lacking = filled["oasis", "val"] + counts["oasis"] <= 0.1 * sum(fold_sizes[1:])
                part = "val" if lacking else "train"
        else:
            # the part that is furthest behind its share, by this cluster's sets
            def gap(part: str, counts: Counter[str] = counts) -> float:
                return sum(shares[part] - filled[name, part] / totals[name] for name in counts)

            weights = np.array([max(gap(part), 0.0) for part in shares])
            part = str(rng.choice(list(shares), p=weights / weights.sum()))
        part_of[cluster] = (part, fold)
        for name, count in counts.items():
            filled[name, part] += count
    return part_of


def assign_folds(
    images: list[tuple[str, str, Path]],
    clusters: list[int],
    part_of: dict[int, tuple[str, int]],
) -> dict[int, int]:
    """Return cluster -> fold: 0 is the test part, the others share the rest of every set evenly."""
    members: dict[int, Counter[str]] = defaultdict(Counter)
    for (name, _, _), cluster in zip(images, clusters, strict=True):
        members[cluster][name] += 1
    sizes: Counter[tuple[str, int]] = Counter()
    fold_of = {}
    for cluster, counts in members.items():
        part, fold = part_of[cluster]
        if part == "test":
            fold = 0
        elif fold < 0:  # without rated images, whose folds are given
            fold = min(range(1, FOLDS), key=lambda f: sum(sizes[name, f] for name in counts))
        fold_of[cluster] = fold
        for name, count in counts.items():
            sizes[name, fold] += count
    return fold_of


def main() -> None:
    root = Path(sys.argv[1])
    images = list_images(root)
    with (root / "oasis/ratings.csv").open(newline="") as file:
        groups = {row["file"]: row["group"] for row in csv.DictReader(file)}
    clusters = find_clusters(images, groups)
    part_of = assign(images, clusters)
    fold_of = assign_folds(images, clusters, part_of)
    destination = Path(__file__).parent / "splits"
    destination.mkdir(exist_ok=True)
    for set_name in ("osie", "eyecrowd", "scene", "salicon", "oasis"):
        rows = [
            (image_id, part_of[cluster][0], fold_of[cluster])
            for (name, image_id, _), cluster in zip(images, clusters, strict=True)
            if name == set_name
        ]
        with (destination / f"{set_name}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "part", "fold"])
            writer.writerows(rows)
        print(set_name, dict(Counter(row[1] for row in rows)), dict(Counter(r[2] for r in rows)))
    sizes = Counter(clusters)
    print("clusters of several images outside OASIS:")
    for cluster, size in sizes.items():
        ids = [f"{n}/{i}" for (n, i, _), c in zip(images, clusters, strict=True) if c == cluster]
        if size > 1 and not all(i.startswith("oasis/") for i in ids):
            print("  ", ids[:8], size)


if __name__ == "__main__":
    main()
