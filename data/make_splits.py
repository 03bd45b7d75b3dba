"""Write data/splits/*.csv: which image of each set is for training, validation or test.

Near twins (thumbnail correlation above `TWIN_CORRELATION`, within or across sets) and images
of one OASIS theme `group` always share a part, so that no test photo has a sibling in training.
The files are committed; run this only to see how they were made:

    python data/make_splits.py ../shared/data

Sets in `TRAINING_ONLY` came later. All their images are for training, except near twins of
validation and test images (part "twin", which nothing reads), so that the parts of the other sets
do not change.
"""

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SEED = 20260
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.08
FOLDS = 5  # the test part is fold 0
TWIN_CORRELATION = 0.93
TRAINING_ONLY = ("salicon_more", "emod")


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


def make_thumbnails(paths: list[Path]) -> NDArray[np.float64]:
    """Return (N, 256) grey thumbnails of mean 0 and length 1."""
    thumbnails = []
    for path in paths:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        thumbnails.append((small - small.mean()) / (np.linalg.norm(small - small.mean()) + 1e-9))
    return np.stack(thumbnails)


def correlate(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of each thumbnail with each other one or its mirror image."""
    mirrored = other.reshape(-1, 16, 16)[:, :, ::-1].reshape(len(other), -1)
    found: NDArray[np.float64] = np.maximum(one @ other.T, one @ mirrored.T)
    return found


def find_clusters(images: list[tuple[str, str, Path]], groups: dict[str, str]) -> list[int]:
    """Return a cluster number for each image; near twins and images of one group share it."""
    thumbnails = make_thumbnails([path for _, _, path in images])
    similarity = correlate(thumbnails, thumbnails)
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
    """Return the part and fold of each cluster; the parts of every set get their shares."""
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
    """Return the fold of each cluster: 0 is the test part, the others share the rest evenly."""
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
    held_out = [
        path
        for (_, _, path), cluster in zip(images, clusters, strict=True)
        if part_of[cluster][0] != "train"
    ]
    measured = make_thumbnails(held_out)
    for set_name in TRAINING_ONLY:
        paths = sorted((root / set_name / "images").rglob("*.jpg"))
        twins = correlate(make_thumbnails(paths), measured).max(axis=1) > TWIN_CORRELATION
        parts = ["twin" if is_twin else "train" for is_twin in twins]
        with (destination / f"{set_name}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "part"])
            writer.writerows((path.name, part) for path, part in zip(paths, parts, strict=True))
        print(set_name, dict(Counter(parts)))
    paths = sorted((root / "unlabelled/images").iterdir())
    twins = correlate(make_thumbnails(paths), measured).max(axis=1) > TWIN_CORRELATION
    print("unlabelled photos that look like validation or test images:", int(twins.sum()))
    print("  ", [path.name for path, is_twin in zip(paths, twins, strict=True) if is_twin][:20])
    sizes = Counter(clusters)
    print("clusters of several images outside OASIS:")
    for cluster, size in sizes.items():
        ids = [f"{n}/{i}" for (n, i, _), c in zip(images, clusters, strict=True) if c == cluster]
        if size > 1 and not all(i.startswith("oasis/") for i in ids):
            print("  ", ids[:8], size)


if __name__ == "__main__":
    main()
