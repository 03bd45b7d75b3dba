import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from saliency.datasets import SaliconDataset
from saliency.datasets.batching import TrainingDataset
from saliency.datasets.salicon import read_mat_fixations
from saliency.errors import DatasetError, ImageError, LabelError
from saliency.fixations import to_fixation_map

SIZE = (30, 40)
GAZE_FIELDS = [("location", "O"), ("timestamp", "O"), ("fixations", "O")]


def write_grey(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_mat(path: Path, viewers: list[np.ndarray], column: bool = False) -> Path:
    gaze = np.empty((1, len(viewers)), dtype=GAZE_FIELDS)
    for index, points in enumerate(viewers):
        gaze[0, index] = (np.ones((3, 2)), np.ones((3, 1)), points)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path,
        {"image": "COCO_1", "resolution": [[30, 40]], "gaze": gaze.T if column else gaze},
    )
    return path


@pytest.fixture
def root(tmp_path, write_image):
    for part, name in (("train", "COCO_1"), ("train", "COCO_2"), ("val", "COCO_3")):
        write_image(tmp_path / f"images/{part}/{name}.jpg", SIZE)
        values = np.zeros(SIZE, np.uint8)
        values[10, 20], values[5, 6] = 255, 85
        write_grey(tmp_path / f"maps/{part}/{name}.png", values)
    return tmp_path


def test_parts_follow_one_another(root):
    assert SaliconDataset(root).ids == ("COCO_1.jpg", "COCO_2.jpg", "COCO_3.jpg")
    assert SaliconDataset(root, parts=["val"]).ids == ("COCO_3.jpg",)


def test_maps_alone_suffice(root):
    sample = SaliconDataset(root)[0]
    assert sample.fixations is None
    assert sample.score_distribution is None
    assert sample.density.sum() == pytest.approx(1)
    assert sample.density[10, 20] == pytest.approx(0.75)


def test_a_sixteen_bit_map_keeps_its_depth(root):
    values = np.full(SIZE, 1000, np.uint16)
    values[0, 0] = 1001
    write_grey(root / "maps/train/COCO_1.png", values)
    density = SaliconDataset(root)[0].density
    assert density[0, 0] / density[0, 1] == pytest.approx(1.001, rel=1e-5)


def test_a_fixated_pixel_of_a_png_becomes_its_centre(root):
    values = np.zeros(SIZE, np.uint8)
    values[0, 0] = values[29, 39] = 255
    write_grey(root / "fixations_png/train/COCO_1.png", values)
    fixations = SaliconDataset(root)[0].fixations
    assert sorted(zip(fixations.xs, fixations.ys, strict=True)) == [(0.5, 0.5), (39.5, 29.5)]
    assert np.array_equal(to_fixation_map(fixations, SIZE), values / 255)


def test_mat_and_png_fixations_agree_on_a_pixel(root):
    values = np.zeros(SIZE, np.uint8)
    values[7, 11] = 255
    write_grey(root / "fixations_png/train/COCO_1.png", values)
    write_mat(root / "fixations/train/COCO_2.mat", [np.array([[12, 8]])])  # [x, y], from 1
    dataset = SaliconDataset(root)
    assert dataset[0].fixations == dataset[1].fixations


def test_an_image_may_lack_the_fixations_that_others_have(root):
    write_mat(root / "fixations/train/COCO_2.mat", [np.array([[12, 8]])])
    assert SaliconDataset(root)[0].fixations is None


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_viewers_are_joined_whatever_shape_and_number_type(tmp_path, column, dtype):
    viewers = [np.array([[1, 1], [40, 30]], dtype), np.array([[5, 6]], dtype)]
    fixations = read_mat_fixations(write_mat(tmp_path / "a.mat", viewers, column), SIZE)
    assert fixations.xs.tolist() == [0.5, 39.5, 4.5]
    assert fixations.ys.tolist() == [0.5, 29.5, 5.5]
    assert fixations.xs.dtype == np.float32


@pytest.mark.parametrize("empty", [np.empty((0, 0)), np.empty((0, 2)), np.empty((1, 0))])
def test_viewers_who_fixated_nothing_add_nothing(tmp_path, empty):
    path = write_mat(tmp_path / "a.mat", [empty, np.array([[5, 6]]), empty])
    assert len(read_mat_fixations(path, SIZE).xs) == 1


def test_no_viewer_at_all_is_no_fixation(tmp_path):
    assert len(read_mat_fixations(write_mat(tmp_path / "a.mat", []), SIZE).xs) == 0


def test_points_outside_the_frame_are_dropped(tmp_path):
    points = np.array([[0, 5], [41, 5], [5, 31], [-3, 2], [40, 30]])  # 1..40 x 1..30 is inside
    fixations = read_mat_fixations(write_mat(tmp_path / "a.mat", [points]), SIZE)
    assert fixations.xs.tolist() == [39.5]


def test_a_single_viewer_is_a_struct_array_of_one(tmp_path):
    fixations = read_mat_fixations(write_mat(tmp_path / "a.mat", [np.array([[5, 6]])]), SIZE)
    assert (fixations.xs.tolist(), fixations.ys.tolist()) == ([4.5], [5.5])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        ("location", "timestamp", "fixations"),
        ("fixations", "location", "timestamp"),
        ("fixations",),
    ],
)
def test_the_order_of_fields_and_compression_change_nothing(tmp_path, fields, compressed):
    gaze = np.empty((1, 2), dtype=[(field, "O") for field in fields])
    for viewer in range(2):
        for field in fields:
            gaze[field][0, viewer] = np.array([[5 + viewer, 6]], np.uint16)
    savemat(tmp_path / "a.mat", {"gaze": gaze}, do_compression=compressed)
    assert read_mat_fixations(tmp_path / "a.mat", SIZE).xs.tolist() == [4.5, 5.5]


def test_fractions_of_a_pixel_are_kept(tmp_path):
    points = np.array([[10.25, 7.75]])
    fixations = read_mat_fixations(write_mat(tmp_path / "a.mat", [points]), SIZE)
    assert (fixations.xs.tolist(), fixations.ys.tolist()) == ([9.75], [7.25])


@pytest.mark.parametrize("resolution", [[[30, 40]], [[40, 30]], [[30], [40]], [[30.0, 40.0]]])
def test_the_resolution_may_be_written_either_way(tmp_path, resolution):
    path = write_mat(tmp_path / "a.mat", [np.array([[5, 6]])])
    savemat(path, {"gaze": loadmat(path)["gaze"], "resolution": resolution})
    assert len(read_mat_fixations(path, SIZE).xs) == 1


def test_points_of_another_resolution_are_an_error(tmp_path):
    path = write_mat(tmp_path / "a.mat", [np.array([[5, 6]])])
    with pytest.raises(DatasetError, match=r"`resolution`.*\(480, 640\)\. Found \[30, 40\]"):
        read_mat_fixations(path, (480, 640))


def test_points_that_are_not_pairs_are_an_error(tmp_path):
    path = write_mat(tmp_path / "a.mat", [np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])])
    with pytest.raises(DatasetError, match=r"a\.mat should be \(K, 2\) points"):
        read_mat_fixations(path, SIZE)


def test_a_cell_of_structs_is_an_error_that_says_what_is_read(tmp_path):
    cell = np.empty((1, 1), object)
    cell[0, 0] = {"fixations": np.array([[5, 6]])}
    savemat(tmp_path / "a.mat", {"gaze": cell})
    with pytest.raises(DatasetError, match="struct array `gaze`"):
        read_mat_fixations(tmp_path / "a.mat", SIZE)


def test_a_file_of_version_7_3_says_how_it_becomes_readable(tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(116)
    head = header + bytes(8) + b"\x00\x02IM"
    (tmp_path / "a.mat").write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(512))
    with pytest.raises(DatasetError, match=r"version 7 or older; MATLAB's `save -v7`"):
        read_mat_fixations(tmp_path / "a.mat", SIZE)


def test_a_foreign_mat_file_is_named_with_what_it_holds(tmp_path):
    savemat(tmp_path / "a.mat", {"fixLocs": np.eye(3)})
    with pytest.raises(DatasetError, match=r"a\.mat .*`gaze`.*Found \['fixLocs'\]"):
        read_mat_fixations(tmp_path / "a.mat", SIZE)


def test_a_file_that_is_no_mat_file_is_one_clear_error(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"<html>404 Not Found</html>" * 20)
    with pytest.raises(DatasetError, match=r"a\.mat should be a MATLAB file"):
        read_mat_fixations(tmp_path / "a.mat", SIZE)


def test_images_without_a_map_are_reported_and_left_out(root, write_image, caplog):
    write_image(root / "images/train/COCO_9.jpg", SIZE)
    assert "COCO_9.jpg" not in SaliconDataset(root).ids
    assert "COCO_9.jpg" in caplog.text


def test_a_map_of_another_size_is_an_error(root):
    write_grey(root / "maps/train/COCO_1.png", np.ones((15, 20), np.uint8))
    with pytest.raises(DatasetError, match=r"COCO_1\.png .*\(30, 40\). Found \(15, 20\)"):
        SaliconDataset(root)[0]


def test_a_damaged_map_counts_as_a_damaged_image(root):
    path = root / "maps/train/COCO_1.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match=r"COCO_1\.png"):
        SaliconDataset(root)[0]


@pytest.mark.parametrize("damage", ["map of another size", "map of zeros", "damaged .mat"])
def test_training_passes_over_damaged_labels_and_names_them_once(root, caplog, damage):
    match damage:
        case "map of another size":
            write_grey(root / "maps/train/COCO_1.png", np.ones((8, 8), np.uint8))
        case "map of zeros":
            write_grey(root / "maps/train/COCO_1.png", np.zeros(SIZE, np.uint8))
        case "damaged .mat":
            path = write_mat(root / "fixations/train/COCO_1.mat", [np.ones((3, 2))])
            path.write_bytes(path.read_bytes()[:-40])
    dataset = SaliconDataset(root)
    with pytest.raises(LabelError, match="COCO_1"):
        dataset[0]
    training = TrainingDataset([dataset], lambda sample, seed, **_: sample, seed=0)
    assert [training[0][0].image_id, training[0][0].image_id] == ["COCO_2.jpg", "COCO_2.jpg"]
    assert len(caplog.records) == 1
    assert "COCO_1.jpg" in caplog.text


def test_a_wrong_folder_says_what_was_expected_and_found(tmp_path):
    (tmp_path / "stimuli").mkdir()
    with pytest.raises(DatasetError, match=r"images/train.*Found in .*stimuli/"):
        SaliconDataset(tmp_path)


@pytest.mark.data
def test_real_salicon(data_root):
    dataset = SaliconDataset(data_root / "salicon")
    assert len(dataset) == 260
    assert len(SaliconDataset(data_root / "salicon", parts=["val"])) == 10
    sample = dataset[0]
    rows, columns = sample.fixations.ys.astype(int), sample.fixations.xs.astype(int)
    # The set's own maps are blurred fixations: points shifted or swapped would miss the peaks.
    assert sample.density[rows, columns].mean() > 2.5 * sample.density.mean()
    assert sample.density.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), (2, 4), (1, 4)])
def test_points_with_a_third_number_or_the_other_way_round_are_an_error(tmp_path, shape):
    path = write_mat(tmp_path / "a.mat", [np.ones(shape)])
    with pytest.raises(DatasetError, match="points for each viewer"):
        read_mat_fixations(path, SIZE)


@pytest.mark.parametrize("resolution", ["480x640", np.array([[1, 2], [3, 4]], object)])
def test_a_resolution_that_is_no_pair_of_numbers_is_an_error(tmp_path, resolution):
    path = write_mat(tmp_path / "a.mat", [np.ones((1, 2))])
    savemat(path, {"gaze": loadmat(path)["gaze"], "resolution": resolution})
    with pytest.raises(DatasetError, match="`resolution`"):
        read_mat_fixations(path, (480, 640))


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        (struct.pack("<II", 9, 32), struct.pack("<II", 8, 32)),  # there is no type 8: SciPy crashes
        (struct.pack("<4I", 5, 8, 2, 2), struct.pack("<4I", 5, 8, 2, 2**30)),  # or takes all memory
    ],
)
def test_damage_that_would_end_the_process_is_an_error(tmp_path, sound, damaged):
    path = write_mat(tmp_path / "a.mat", [np.array([[5, 6], [7, 8.5]])])
    data = path.read_bytes()
    assert data.count(sound) == 1
    path.write_bytes(data.replace(sound, damaged))
    with pytest.raises(DatasetError, match="should be a MATLAB file"):
        read_mat_fixations(path, SIZE)
