"""The layout of OSIE, which EyeCrowd and Scene share: stimuli and one `.mat` of fixations."""

from collections import Counter
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.datasets.base import (
    keep_inside,
    list_images,
    name_some,
    report_skipped,
    require_file,
    require_folder,
)
from saliency.datasets.matlab import load_mat
from saliency.errors import DatasetError, LabelError
from saliency.fixations import to_density
from saliency.images import read_image
from saliency.types import Fixations, Sample


class OsieDataset:
    """Images with the points that viewers fixated.

    Layout::

        stimuli/*.jpg
        eye/fixations.mat   variable `fixations`: cell (N, 1) of struct `img`, `subjects`;
                            subjects: cell (S, 1) of struct `fix_x`, `fix_y`, `fix_duration`

    The density is all viewers' fixations blurred by a Gaussian of `fixations.SIGMA_SHARE` times
    the longer side. Points are taken as zero-based pixels, as they are in these sets.
    """

    def __init__(self, root: Path, name: str = "osie") -> None:
        """Read all the fixations; images are read on access.

        Args:
            root: Folder that holds `stimuli` and `eye`.
            name: Name of the set in its samples.

        Raises:
            DatasetError: If a folder or the `.mat` file is missing or of another kind.
        """
        self.name = name
        root = Path(root)
        self._stimuli = require_folder(root, "stimuli", "OSIE")
        images = list_images(self._stimuli)
        table = read_fixation_table(require_file(root, "eye/fixations.mat", "OSIE"))
        points = np.diff(table.starts)
        entry_of = {image: e for e, image in enumerate(table.images) if points[e]}
        report_skipped(
            name, [image for image in images if image not in entry_of], "without fixations in `eye`"
        )
        present = set(images)
        report_skipped(
            name, [image for image in table.images if image not in present], "not in `stimuli`"
        )
        self.ids = tuple(image for image in images if image in entry_of)
        if not self.ids:
            raise DatasetError(
                f"Expected fixations of {name_some(images)} in {root / 'eye/fixations.mat'}. "
                f"Found fixations of {name_some(table.images)}."
            )
        self._table = table
        self._entries = tuple(entry_of[image] for image in self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its labels.

        Raises:
            ImageError: If the image cannot be decoded.
            LabelError: If none of its fixations is inside the image.
        """
        image = read_image(self._stimuli / self.ids[index])
        size = image.shape[:2]
        entry = self._entries[index]
        points = slice(self._table.starts[entry], self._table.starts[entry + 1])
        fixations = keep_inside(self._table.xs[points], self._table.ys[points], size)
        if not len(fixations.xs):
            raise LabelError(
                f"{self._stimuli / self.ids[index]} should have fixations inside its "
                f"{size[1]} x {size[0]} pixels. Found none."
            )
        return Sample(
            image,
            self.name,
            self.ids[index],
            fixations=fixations,
            density=to_density(fixations, size),
        )

    def viewers(self, index: int, size: tuple[int, int]) -> tuple[Fixations, ...]:
        """Return each viewer's fixations on one image.

        Args:
            index: Index of the image.
            size: (height, width) of the image.
        """
        entry = self._entries[index]
        ends = list(
            accumulate(self._table.viewer_lengths[entry], initial=self._table.starts[entry])
        )
        return tuple(
            keep_inside(self._table.xs[start:end], self._table.ys[start:end], size)
            for start, end in pairwise(ends)
        )


class FixationTable(NamedTuple):
    """The points of all viewers, image after image.

    Attributes:
        images: File names of the E entries.
        starts: (E + 1,) entry e owns the points `starts[e]:starts[e + 1]`.
        xs: (N,) float32 pixels.
        ys: (N,) float32 pixels.
        viewer_lengths: For each entry, how many of its points each viewer made, in their order.
    """

    images: tuple[str, ...]
    starts: tuple[int, ...]
    xs: NDArray[np.float32]
    ys: NDArray[np.float32]
    viewer_lengths: tuple[tuple[int, ...], ...]


def read_fixation_table(path: Path) -> FixationTable:
    """Read `eye/fixations.mat` into flat arrays.

    Raises:
        DatasetError: If the file is not of this kind.
    """
    contents = load_mat(path)
    if "fixations" not in contents:
        raise DatasetError(f"{path} should hold a variable `fixations`. Found {list(contents)}.")

    entries: list[tuple[str, NDArray[np.float32], NDArray[np.float32], tuple[int, ...]]] = []
    try:
        entries.extend(_read_entry(entry) for entry in contents["fixations"].ravel())
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"`fixations` in {path} should be a cell of structs `img`, `subjects`, and `subjects` "
            f"a cell of structs `fix_x`, `fix_y` of equal length. Found otherwise in entry "
            f"{len(entries) + 1}: {error}"
        ) from error
    twice = [image for image, count in Counter(image for image, *_ in entries).items() if count > 1]
    if twice:
        raise DatasetError(f"{path} should name an image once. Found twice: {name_some(twice)}.")
    return FixationTable(
        images=tuple(image for image, *_ in entries),
        starts=tuple(accumulate((len(xs) for _, xs, _, _ in entries), initial=0)),
        xs=_join([xs for _, xs, _, _ in entries]),
        ys=_join([ys for _, _, ys, _ in entries]),
        viewer_lengths=tuple(lengths for *_, lengths in entries),
    )


def _read_entry(
    entry: Any,
) -> tuple[str, NDArray[np.float32], NDArray[np.float32], tuple[int, ...]]:
    # MATLAB wraps everything: a struct or a text in a cell is an array of one element.
    viewers = [viewer for viewer in entry["subjects"].item().ravel() if viewer.size]
    for viewer in viewers:
        across, down = np.size(viewer["fix_x"].item()), np.size(viewer["fix_y"].item())
        if across != down:
            raise ValueError(f"{across} fix_x, {down} fix_y of one viewer")
    xs = _join([viewer["fix_x"].item() for viewer in viewers])
    ys = _join([viewer["fix_y"].item() for viewer in viewers])
    lengths = tuple(np.size(viewer["fix_x"].item()) for viewer in viewers)
    return str(entry["img"].item().item()), xs, ys, lengths


def _join(arrays: list[Any]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *(np.ravel(a) for a in arrays)]).astype(
        np.float32
    )
