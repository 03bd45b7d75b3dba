import resource
from contextlib import contextmanager

import pytest
from PIL import Image

from saliency import Predictor
from saliency.batch import Journal, Pictures, find_files, name_photos, predict_files
from saliency.datasets import DrawnDataset


@pytest.fixture(scope="session")
def predictor(tiny_weights):
    return Predictor.load(tiny_weights, "cpu")


@pytest.fixture
def photos(tmp_path):
    """A folder with photos at two depths, a hidden one, and files that are no photos."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    names = ("b.png", "trip/c.jpg", "a.JPG", ".hidden.png")
    for name, sample in zip(names, DrawnDataset(4, seed=0), strict=True):
        Image.fromarray(sample.image).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    (folder / "album.png").mkdir()
    return folder


@pytest.fixture
def predict(predictor):
    """Return a function that predicts sources into a folder and returns the outcomes."""

    def run(source, out, pictures=None, made_by="these weights", **options):
        with Journal(out, made_by) as journal:
            found = name_photos(find_files([str(source)]), journal.owners())
            chosen = pictures or Pictures()
            return list(predict_files(predictor, found, journal, chosen, **options))

    return run


@contextmanager
def limit_file_size(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def files_of_at_most():
    """Return a context in which no file grows beyond a size, as on a full disk."""
    return limit_file_size
