import numpy as np
import pytest
from scipy.io import loadmat, savemat

from saliency.datasets import OsieDataset
from saliency.errors import DatasetError

SIZE = (60, 80)


def write_fixations(path, entries: dict[str, list[tuple[list[float], list[float]]]]) -> None:
    cell = np.empty((len(entries), 1), dtype=object)
    for row, (image, viewers) in enumerate(entries.items()):
        subjects = np.empty((len(viewers), 1), dtype=object)
        for number, (xs, ys) in enumerate(viewers):
            subjects[number, 0] = {"fix_x": xs, "fix_y": ys, "fix_duration": [200] * len(xs)}
        cell[row, 0] = {"img": image, "subjects": subjects}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"fixations": cell})


@pytest.fixture
def root(tmp_path, write_image):
    for name in ("1001.jpg", "1002.jpg"):
        write_image(tmp_path / "stimuli" / name, SIZE)
    entries = {  # not in the order of the folder
        "1002.jpg": [([70.5], [50.5])],
        "1001.jpg": [([10.5, 20.0, 90.0], [30.5, 40.0, 5.0]), ([11.0], [31.0])],
    }
    write_fixations(tmp_path / "eye/fixations.mat", entries)
    return tmp_path


def test_fixations_belong_to_their_own_image(root):
    dataset = OsieDataset(root)
    assert dataset.ids == ("1001.jpg", "1002.jpg")
    assert dataset[1].fixations.xs.tolist() == [70.5]


def test_all_viewers_are_joined_and_points_outside_dropped(root):
    fixations = OsieDataset(root)[0].fixations
    assert fixations.xs.tolist() == [10.5, 20.0, 11.0]
    assert fixations.ys.tolist() == [30.5, 40.0, 31.0]


def test_density_peaks_where_people_looked(root):
    sample = OsieDataset(root)[1]
    assert np.unravel_index(sample.density.argmax(), SIZE) == (50, 70)
    assert sample.density.sum() == pytest.approx(1, abs=1e-5)


def test_viewers_without_fixations_add_nothing(root):
    write_fixations(
        root / "eye/fixations.mat",
        {"1001.jpg": [([], []), ([3.0], [4.0])], "1002.jpg": [([1.0], [1.0])]},
    )
    assert OsieDataset(root)[0].fixations.xs.tolist() == [3.0]


def test_images_and_entries_without_a_partner_are_reported_and_left_out(root, write_image, caplog):
    write_image(root / "stimuli/1003.jpg", SIZE)
    (root / "stimuli/1002.jpg").unlink()
    assert OsieDataset(root).ids == ("1001.jpg",)
    assert "1003.jpg" in caplog.text
    assert "1002.jpg" in caplog.text
    assert len(caplog.records) == 2


def test_an_image_nobody_fixated_has_no_label_and_is_left_out(root, caplog):
    write_fixations(
        root / "eye/fixations.mat", {"1001.jpg": [([], [])], "1002.jpg": [([1.0], [1.0])]}
    )
    assert OsieDataset(root).ids == ("1002.jpg",)
    assert "1001.jpg" in caplog.text


def test_a_mat_file_of_other_images_is_an_error_that_shows_both(root):
    write_fixations(root / "eye/fixations.mat", {"7.png": [([1.0], [1.0])]})
    with pytest.raises(DatasetError, match=r"1001\.jpg.*Found fixations of 7\.png"):
        OsieDataset(root)


def test_a_mat_file_without_fixations_lists_its_variables(root):
    savemat(root / "eye/fixations.mat", {"gaze": np.eye(2)})
    with pytest.raises(DatasetError, match=r"`fixations`\. Found \['gaze'\]"):
        OsieDataset(root)


@pytest.mark.parametrize(
    "entry",
    [
        np.eye(2),
        {"img": "1001.jpg"},
        {"img": "1001.jpg", "subjects": {"x": 1}},
        {
            "img": "1001.jpg",
            "subjects": np.array([[{"fix_x": [1.0, 2.0], "fix_y": [1.0]}]], dtype=object),
        },
    ],
)
def test_another_structure_is_one_clear_error(root, entry):
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = entry
    savemat(root / "eye/fixations.mat", {"fixations": cell})
    with pytest.raises(DatasetError, match="should be a cell of structs"):
        OsieDataset(root)


def test_a_wrong_folder_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match=r"stimuli.*Found in .*images/"):
        OsieDataset(tmp_path)


def test_an_absent_mat_file_is_named(root):
    (root / "eye/fixations.mat").unlink()
    with pytest.raises(DatasetError, match=r"eye/fixations\.mat"):
        OsieDataset(root)


@pytest.mark.data
@pytest.mark.parametrize(("name", "count"), [("osie", 600), ("eyecrowd", 420), ("scene", 420)])
def test_real_sets_of_this_layout(data_root, name, count):
    dataset = OsieDataset(data_root / name, name=name)
    assert len(dataset) == count
    sample = dataset[count // 2]
    assert sample.dataset == name
    assert len(sample.fixations.xs) > 40
    assert sample.density.shape == sample.image.shape[:2]


def test_viewers_are_told_apart(root):
    dataset = OsieDataset(root)
    assert [v.xs.tolist() for v in dataset.viewers(0, SIZE)] == [[10.5, 20.0], [11.0]]
    assert [v.xs.tolist() for v in dataset.viewers(1, SIZE)] == [[70.5]]


def test_a_viewer_with_more_xs_than_ys_is_an_error_though_the_sums_agree(root):
    viewers = [([1.0, 2.0], [3.0]), ([4.0], [5.0, 6.0])]
    write_fixations(root / "eye/fixations.mat", {"1001.jpg": viewers})
    with pytest.raises(DatasetError, match="of one viewer"):
        OsieDataset(root)


def test_an_image_that_comes_twice_is_an_error(root):
    path = root / "eye/fixations.mat"
    cell = np.concatenate([loadmat(path)["fixations"][:1]] * 2)
    savemat(path, {"fixations": cell})
    with pytest.raises(DatasetError, match=r"twice: 1002\.jpg"):
        OsieDataset(root)
