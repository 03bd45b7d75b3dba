"""A packed set."""

from __future__ import annotations

import hashlib
from pathlib import Path

from saliency.curation.check.findings import CopyReport, Finding, OnFile, problem
from saliency.datasets.packed import read_manifest, read_shard
from saliency.errors import DatasetError
from saliency.threads import map_ahead


class PackedCopy:
    """A set that `saliency data pack` wrote."""

    def __init__(self, folder: Path) -> None:
        """Read its manifest.

        Raises:
            DatasetError: If there is none, or it is damaged.
        """
        self.folder = folder
        self._manifest = read_manifest(folder)
        self.name = f"{self._manifest.name}, packed"

    def __len__(self) -> int:
        return len(self._manifest.shards)

    def check(self, workers: int, on_file: OnFile) -> CopyReport:
        """Compute the checksum of every shard."""
        entries = self._manifest.shards
        damaged: list[str] = []
        skipped: list[str] = []
        images = 0
        paths = [self.folder / entry["file"] for entry in entries]
        found = map_ahead(_to_sha256, paths, workers)
        for path, entry, sha256 in zip(paths, entries, found, strict=True):
            on_file()
            try:
                shard = read_shard(path)
            except DatasetError as error:
                damaged.append(str(error))
                continue
            if sha256 != entry["sha256"] or shard.sha256 != entry["sha256"]:
                damaged.append(f"{path}: its SHA-256 differs from the manifest's")
                continue
            images += len(shard.images)
            skipped.extend(f"{name}: {why}" for name, why in shard.skipped.items())
        return CopyReport(
            self.name,
            self.folder,
            (
                Finding("packed to the end", int(self._manifest.complete), 1),
                Finding("shards", len(entries)),
                Finding("images", images, sum(entry["images"] for entry in entries)),
                problem("damaged shards; delete them and pack again", damaged),
                # Not a fault of the shards; `pack` already reported it.
                Finding("images left out when it was packed", len(skipped), None, tuple(skipped)),
            ),
        )


def _to_sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # another check finds that it is missing
