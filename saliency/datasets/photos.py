"""A folder of unlabelled photos, for spoilt copies and for labels by a teacher."""

from pathlib import Path

from saliency.datasets.base import list_images, require_folder
from saliency.images import read_image
from saliency.types import Sample


class PhotosDataset:
    """Photos without labels in `root/images`.

    Attributes:
        name: Name of the set in its samples.
        ids: File names.
    """

    def __init__(self, root: Path, name: str = "photos") -> None:
        """List the photos; they are read on access.

        Raises:
            DatasetError: There is no folder `images`, or it is empty.
        """
        self.name = name
        self._folder = require_folder(root, "images", "photos")
        self.ids = list_images(self._folder)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Read one photo.

        Raises:
            ImageError: It cannot be read.
        """
        image_id = self.ids[index]
        return Sample(read_image(self._folder / image_id), self.name, image_id)
