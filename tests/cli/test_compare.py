import json

import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from saliency import Predictor, read_image
from saliency.comparison import compare
from saliency.records import Record


@pytest.fixture(scope="module")
def designs(tmp_path_factory):
    """Two pictures of different sizes."""
    folder = tmp_path_factory.mktemp("designs")
    Image.fromarray(coffee()).save(folder / "old.png")
    Image.fromarray(astronaut()).save(folder / "new.png")
    return folder


@pytest.fixture
def run(saliency, designs, tiny_weights):
    """Return a function that compares both with more arguments."""

    def run(*arguments, before="old.png", after="new.png"):
        versions = designs / before, designs / after
        return saliency("compare", *versions, "-w", tiny_weights, "-d", "cpu", *arguments)

    return run


def test_json_has_the_numbers_of_the_library(run, designs, tiny_weights):
    told = json.loads(run("--json").out)
    predictor = Predictor.load(tiny_weights, "cpu")
    before, after = (predictor.predict(designs / name) for name in ("old.png", "new.png"))
    expected = compare(before, after)
    assert told["score_difference"] == pytest.approx(after.score - before.score, abs=1e-4)
    for name in ("cc", "sim", "moved", "kl_div"):
        assert told[name] == pytest.approx(getattr(expected, name), abs=1e-4)
    assert Record.from_json(told["before"]).image_size == (400, 600)
    assert told["after"]["saliency"]["entropy"] == pytest.approx(expected.after.entropy, abs=1e-4)
    assert told["failed"] == []


def test_a_version_does_not_differ_from_itself(run):
    told = json.loads(run("--json", after="old.png").out)
    assert (told["score_difference"], told["cc"], told["moved"]) == pytest.approx((0, 1, 0))


def test_the_picture_does_not_replace_a_version(run, designs):
    before = (designs / "new.png").read_bytes()
    ended = run("-o", designs / "new.png")
    assert ended.code == 2
    assert "should name another file than A and B" in " ".join(ended.err.replace("│", " ").split())
    assert (designs / "new.png").read_bytes() == before


def test_a_region_that_is_everything_has_all_attention_in_both(run):
    told = json.loads(run("--box", "all=0,0,600,512", "--json").out)
    assert told["regions"]["all"]["share"] == pytest.approx(1)
    assert told["regions"]["all"]["share_before"] == pytest.approx(1)
    assert told["regions"]["all"]["share_difference"] == pytest.approx(0)


def test_a_region_that_moved_is_followed(run):
    boxes = ("--box", "cta=0,0,600,400", "--box-b", "cta=0,0,1,1")
    cta = json.loads(run(*boxes, "--json").out)["regions"]["cta"]
    assert cta["share_before"] == pytest.approx(1)
    assert cta["share"] < 0.01


def test_a_region_that_moved_from_nowhere_is_refused(run):
    ended = run("--box", "cta=0,0,9,9", "--box-b", "logo=0,0,1,1")
    assert (ended.code, ended.out) == (1, "")
    assert "Found 'logo'; the regions are cta." in " ".join(ended.err.split())


def test_equal_maps_have_no_negative_divergence(run):
    assert "KLDiv 0.000" in run(after="old.png").out


def test_coco_places_a_region_in_each_version(run, tmp_path):
    boxes = {
        "images": [{"id": 1, "file_name": "old.png"}, {"id": 2, "file_name": "new.png"}],
        "categories": [{"id": 1, "name": "cta"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 600, 400]},
            {"image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(boxes))
    cta = json.loads(run("--boxes", tmp_path / "coco.json", "--json").out)["regions"]["cta"]
    assert cta["share_before"] == pytest.approx(1)
    assert cta["share"] < 0.01


def test_the_table_has_a_row_a_region(run):
    ended = run("--box", "[b]cta[/b]=0,0,100,100", "--box", "0,0,50,50")
    assert ended.code == 0
    assert "share of [b]cta[/b]" in ended.out
    assert "share of 2" in ended.out
    assert "attention that moved" in ended.out


def test_what_is_no_picture_has_no_score(run, designs):
    Image.new("RGB", (90, 60), "grey").save(designs / "grey.png")
    (row,) = (line for line in run(after="grey.png").out.splitlines() if "score" in line)
    assert "none" in row
    assert len(row.split()) == 3  # no difference either


def test_the_picture_shows_both_and_the_change(run, tmp_path):
    assert run("-o", tmp_path / "sub" / "moved.png").code == 0
    height, width, _ = read_image(tmp_path / "sub" / "moved.png").shape
    assert height == 400 + 2 * 22  # a title and a scale
    assert width == 600 + 12 + 400 + 12 + 400


def test_a_condition_that_holds_is_exit_code_3_after_everything_is_told(run, tmp_path):
    ended = run(
        *("--fail-if", "moved >= 0", "--fail-if", "moved < 0", "--fail-if", "cc <= 1"),
        *("--json", "-o", tmp_path / "moved.png"),
    )
    assert ended.code == 3
    assert "failed: moved >= 0 (it is " in ended.err
    assert "moved < 0" not in ended.err
    assert json.loads(ended.out)["failed"] == ["moved >= 0", "cc <= 1"]
    assert (tmp_path / "moved.png").exists()


def test_a_condition_on_a_region_is_known_by_the_regions_name(run):
    assert run("--box", "cta=0,0,1,1", "--fail-if", "regions.cta.share < 0.1").code == 3
    assert run("--box", "cta=0,0,600,512", "--fail-if", "regions.cta.share < 0.1").code == 0


def test_conditions_that_do_not_hold_are_exit_code_0(run):
    assert run("--fail-if", "moved > 1", "--fail-if", "score_difference < -9.5").code == 0


def test_a_condition_on_the_score_of_what_is_no_picture_is_exit_code_1(run, designs):
    Image.new("RGB", (90, 60), "grey").save(designs / "grey.png")
    ended = run("--fail-if", "score_difference < -9.5", after="grey.png")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].endswith(
        "'score_difference' should be a number here. Found none."
    )


def test_an_unknown_name_is_exit_code_1_and_lists_the_known(run):
    ended = run("--fail-if", "regions.cta.share < 0.1")
    assert (ended.code, ended.out) == (1, "")
    assert "score_difference, cc, sim, moved, kl_div" in ended.err.splitlines()[-1]


def test_what_is_no_condition_is_one_line_before_anything_is_loaded(saliency, designs):
    ended = saliency(
        *("compare", designs / "old.png", designs / "new.png"),
        *("--fail-if", "import os", "-w", "absent.safetensors"),
    )
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: A condition should be a name")
    assert ended.err.count("\n") == 1


def test_a_version_that_cannot_be_read_is_exit_code_1(run):
    ended = run(after="absent.png")
    assert (ended.code, ended.out) == (1, "")
    assert "absent.png" in ended.err


def test_one_version_alone_is_wrong_usage(saliency, designs):
    assert saliency("compare", designs / "old.png").code == 2


def test_help_shows_an_example_to_copy_and_the_exit_codes(saliency):
    words = " ".join(saliency("compare", "--help").out.split())
    assert "Example: saliency compare old.png new.png" in words
    assert "3 if a --fail-if condition holds" in words
