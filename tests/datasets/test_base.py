import logging

import numpy as np
import pytest

from saliency.datasets import DrawnDataset, select
from saliency.datasets.base import keep_inside, list_images, report_skipped, require_folder
from saliency.errors import DatasetError


def test_select_keeps_the_order_asked_for():
    drawn = DrawnDataset(5, seed=0)
    subset = select(drawn, [drawn.ids[3], drawn.ids[1]])
    assert subset.ids == (drawn.ids[3], drawn.ids[1])
    assert subset[0].image_id == drawn.ids[3]
    assert len(subset) == 2


def test_a_selection_can_be_iterated_to_its_end():
    drawn = DrawnDataset(4, seed=0)
    assert [sample.image_id for sample in select(drawn, drawn.ids[:3])] == list(drawn.ids[:3])


def test_select_names_what_the_set_lacks():
    with pytest.raises(DatasetError, match=r"Found nowhere\.jpg"):
        select(DrawnDataset(2, seed=0), ["nowhere.jpg"])


def test_an_absent_folder_is_reported_with_what_is_there(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"Expected .*stimuli.*Found in .*notes\.txt, pictures/"):
        require_folder(tmp_path, "stimuli", "OSIE")


def test_an_absent_root_is_reported_as_absent(tmp_path):
    with pytest.raises(DatasetError, match=r"Found no folder .*elsewhere"):
        require_folder(tmp_path / "elsewhere", "stimuli", "OSIE")


def test_hidden_and_foreign_files_are_no_images(tmp_path):
    for name in ("b.jpg", "a.PNG", "._a.PNG", "Thumbs.db"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == ("a.PNG", "b.jpg")


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "readme.txt").touch()
    with pytest.raises(DatasetError, match=r"Expected images.*Found in .*readme\.txt"):
        list_images(tmp_path)


def test_many_skipped_images_are_one_warning_with_count_and_first_names(caplog):
    with caplog.at_level(logging.WARNING):
        report_skipped("osie", [f"{i}.jpg" for i in range(400)], "without fixations")
    (record,) = caplog.records
    assert "400 images" in record.message
    assert "0.jpg" in record.message
    assert "399.jpg" not in record.message


def test_points_on_the_far_edges_or_not_a_number_are_outside():
    fixations = keep_inside([0, 40, 39.9, 5, np.nan, -0.1], [0, 5, 29.9, 30, 5, 5], (30, 40))
    np.testing.assert_allclose(fixations.xs, [0, 39.9], rtol=1e-6)
    np.testing.assert_allclose(fixations.ys, [0, 29.9], rtol=1e-6)
