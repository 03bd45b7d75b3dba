from pathlib import Path

import numpy as np
import pytest

from saliency.batch.scoring import ScoredPhoto
from saliency.calibration import Calibration
from saliency.insights import Quality
from saliency.ranking import choose_best, rank_photos
from saliency.records import Record
from saliency.score_reference import ScoreReference

BITS = np.random.default_rng(0).random(144) < 0.5
REFERENCE = ScoreReference.measure({"photos": np.linspace(1, 10, 1000)}, "sha")


def photos(*scores):
    """Photos of which the first two are near-duplicates."""
    hashes = [BITS, BITS, ~BITS, np.roll(BITS, 7)]
    return [scored(f"{i}.jpg", s, hashes[i]) for i, s in enumerate(scores)]


def scored(name, score, perceptual_hash, quality=None):
    record = Record(name, 90, 60, score, 2.5, None, None, quality)
    return ScoredPhoto(Path(name), record, score, perceptual_hash)


def test_the_best_comes_first():
    ranked = rank_photos(photos(5, 6, 4, 7))
    assert [(p.rank, p.path.stem, p.score) for p in ranked] == [
        (1, "3", 7),
        (2, "1", 6),
        (3, "0", 5),
        (4, "2", 4),
    ]


def test_equal_scores_stay_in_order():
    assert [p.path.stem for p in rank_photos(photos(5, 5, 5, 5))] == ["0", "1", "2", "3"]


def test_the_best_of_a_group_is_marked():
    marks = {p.path.stem: (p.group, p.best) for p in rank_photos(photos(5, 6, 4, 7))}
    assert marks == {"0": (1, False), "1": (1, True), "2": (None, True), "3": (None, True)}


def test_percentile_and_stars_come_from_the_reference():
    by_name = {p.path.stem: p for p in rank_photos(photos(1.9, 5.5, 9.5), REFERENCE)}
    assert [by_name[n].percentile for n in "012"] == pytest.approx([10, 50, 94.4], abs=0.1)
    assert [by_name[n].stars for n in "012"] == [1, 3, 5]


def test_the_rating_comes_from_the_calibration():
    calibration = Calibration((4.0, 6.0), (0.0, 100.0), "sha")
    by_name = {p.path.stem: p.rating for p in rank_photos(photos(4.5, 6, 2), None, calibration)}
    assert by_name == {"0": 25, "1": 100, "2": 0}


def test_without_either_nothing_is_made_up():
    (photo,) = rank_photos(photos(5))
    assert (photo.percentile, photo.stars, photo.rating) == (None, None, None)


def test_no_photo_is_no_rank():
    assert rank_photos([], REFERENCE) == []


def frame(score, *, sharpness=1.0, highlights=0.0, noise=0.0, has_content=True, flaws=""):
    quality = Quality(
        sharpness=sharpness,
        sharpness_elsewhere=sharpness,
        motion_direction=None,
        motion_strength=0.0,
        clipped_highlights=highlights,
        clipped_shadows=0.0,
        noise=noise,
        has_content=has_content,
        flaws=flaws,
    )
    return scored(f"{score}.jpg", score, BITS, quality)


@pytest.mark.parametrize("worse", [{"sharpness": 0.5}, {"highlights": 0.3}, {"noise": 12.0}])
def test_the_best_of_a_burst_is_technically_sound(worse):
    burst = [frame(6.0, **worse), frame(5.0)]
    assert choose_best(burst) == 1
    assert [photo.best for photo in rank_photos(burst)] == [False, True]


def test_among_frames_that_are_equally_sound_the_score_decides():
    assert choose_best([frame(5.0), frame(5.4), frame(5.2)]) == 1


def test_a_soft_photo_is_compared_with_its_like_alone():
    assert choose_best([frame(6.0, sharpness=0.3), frame(5.0, sharpness=0.3)]) == 0


def test_what_is_no_picture_comes_last_without_stars():
    ranked = rank_photos([frame(9.0, has_content=False), frame(2.0)], REFERENCE)
    assert [(photo.score, photo.stars) for photo in ranked] == [(2.0, 1), (9.0, None)]


def test_a_flaw_costs_stars():
    [photo] = rank_photos([frame(9.5, flaws="noisy")], REFERENCE)
    assert (photo.stars, photo.flaws) == (3, "noisy")
