import numpy as np
import pytest

from saliency.attributes import AttributeEstimate
from saliency.datasets import DrawnDataset
from saliency.errors import ImageDecodeError
from saliency.evaluation import CenterBiasPredictor, evaluate
from saliency.fixations import to_density
from saliency.metrics import CenterBias
from saliency.types import SCORES, Fixations, Prediction, Sample, Uncertainty

SIZE = (24, 32)


class Samples:
    """A data set of given samples; None stands for a file that cannot be read."""

    name = "samples"

    def __init__(self, *samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        if self.samples[index] is None:
            raise ImageDecodeError(f"{index}.jpg is damaged")
        return self.samples[index]


class Oracle:
    """Predicts a photo's own labels, which it looks up by the photo's pixels."""

    def __init__(self, dataset, density=True, score=True):
        self.by_pixels = {s.image.tobytes(): s for s in dataset.samples if s is not None}
        self.density = density
        self.score = score

    def predict_many(self, images, batch_size):
        for image in images:
            sample = self.by_pixels[image.tobytes()]
            distribution = sample.score_distribution if self.score else None
            yield Prediction(
                image.shape[:2],
                sample.density if self.density else None,
                None if distribution is None else float(distribution @ SCORES),
                None,
                distribution,
            )


def drawn(count, rated=False):
    return Samples(*DrawnDataset(count, seed=3, size=SIZE, rated=rated))


def looked_at(number, *points, size=SIZE):
    """Return a sample whose image is number `number` and whose viewers looked at (x, y)s."""
    xs, ys = np.array(points, dtype=np.float32).T
    fixations = Fixations(xs, ys)
    image = np.full((*size, 3), number, np.uint8)
    return Sample(image, "samples", f"{number}.jpg", fixations, to_density(fixations, size, 1.0))


def center_bias_of(dataset):
    return CenterBias.fit([s.fixations for s in dataset], [s.image.shape[:2] for s in dataset])


def values(result):
    return {name: measure.value for name, measure in result.measures.items()}


def test_the_perfect_predictor_is_perfect():
    dataset = drawn(6, rated=True)
    found = values(evaluate(Oracle(dataset), dataset))
    perfect = {"CC": 1, "SIM": 1, "KLDiv": 0, "SRCC": 1, "PLCC": 1, "accuracy": 1, "EMD": 0}
    assert {name: found[name] for name in perfect} == pytest.approx(perfect, abs=1e-5)


def test_the_centre_bias_has_no_information_gain_over_itself():
    dataset = drawn(6)
    bias = center_bias_of(dataset)
    result = evaluate(CenterBiasPredictor(bias), dataset, center_bias=bias)
    assert result.measures["IG"].value == pytest.approx(0, abs=1e-6)


def test_a_predictor_that_knows_gains_information_over_the_centre_bias():
    dataset = drawn(6)
    result = evaluate(Oracle(dataset), dataset, center_bias=center_bias_of(dataset))
    assert result.measures["IG"].value > 1


def test_an_images_own_fixations_are_not_among_its_negatives():
    # With them, half of the negatives would lie where the map is highest, and sAUC be .75.
    dataset = Samples(looked_at(1, (4, 4)), looked_at(2, (28, 20)))
    assert evaluate(Oracle(dataset), dataset).measures["sAUC"].value == 1


def test_negatives_of_other_sizes_are_stretched_to_the_image():
    # All look at the same relative place, so no map can tell them apart.
    dataset = Samples(looked_at(1, (8, 6)), looked_at(2, (16, 12), size=(48, 64)))
    assert evaluate(Oracle(dataset), dataset).measures["sAUC"].value == 0.5


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_an_unreadable_image_is_reported_and_its_neighbours_keep_their_own_prediction(batch_size):
    first, second, third = drawn(3).samples
    dataset = Samples(first, None, second, third)
    result = evaluate(Oracle(dataset), dataset, batch_size=batch_size)
    assert result.images == 3
    assert result.skipped == ("1.jpg is damaged",)
    assert result.measures["CC"].value == pytest.approx(1, abs=1e-5)


def test_images_of_one_group_are_resampled_together():
    dataset = drawn(6, rated=True)
    bias = CenterBiasPredictor(center_bias_of(dataset))
    apart = evaluate(bias, dataset).measures["CC"].interval
    together = evaluate(bias, dataset, groups=["theme"] * 6).measures["CC"].interval
    assert apart.low < apart.high
    assert together.low == together.high


def test_groups_stay_with_their_images_behind_an_unreadable_one():
    # The first image's group is its own. Were labels shifted by one, two groups would be left.
    dataset = Samples(None, *drawn(4).samples)
    bias = CenterBiasPredictor(center_bias_of(drawn(4)))
    groups = ["alone", "theme", "theme", "theme", "theme"]
    interval = evaluate(bias, dataset, groups=groups).measures["CC"].interval
    assert interval.low == interval.high


def test_each_metric_has_the_groups_of_the_images_it_counts():
    # The first image has a density alone (as some sets do), the others fixations as well.
    first, *others = drawn(4).samples
    only_density = Sample(first.image, "samples", "first.jpg", density=first.density)
    dataset = Samples(only_density, *others)
    bias = CenterBiasPredictor(center_bias_of(others))
    measures = evaluate(bias, dataset, groups=["alone", *["theme"] * 3]).measures
    assert measures["CC"].interval.low < measures["CC"].interval.high
    assert measures["NSS"].interval.low == measures["NSS"].interval.high


def test_scores_have_the_groups_of_the_rated_images():
    rated = drawn(6, rated=True).samples
    dataset = Samples(*drawn(2).samples, *rated)
    groups = ["alone", "too", *["theme"] * 6]
    interval = evaluate(Oracle(dataset), dataset, groups=groups).measures["EMD"].interval
    assert interval.low == interval.high


def test_metrics_without_labels_are_left_out():
    ratings = [
        Sample(s.image, s.dataset, s.image_id, score_distribution=s.score_distribution)
        for s in drawn(4, rated=True)
    ]
    dataset = Samples(*ratings)
    assert set(values(evaluate(Oracle(dataset), dataset))) == {"SRCC", "PLCC", "accuracy", "EMD"}


def test_metrics_without_a_head_are_left_out():
    dataset = drawn(4, rated=True)
    of_maps = evaluate(Oracle(dataset, score=False), dataset).measures
    of_scores = evaluate(Oracle(dataset, density=False), dataset).measures
    assert set(of_maps) == {"NSS", "CC", "KLDiv", "SIM", "AUC", "sAUC"}
    assert set(of_scores) == {"SRCC", "PLCC", "accuracy", "EMD"}


def test_an_image_without_any_fixation_enters_no_fixation_metric():
    nobody = Fixations(np.empty(0, np.float32), np.empty(0, np.float32))
    image = np.zeros((*SIZE, 3), np.uint8)
    dataset = Samples(Sample(image, "samples", "0.jpg", nobody), *drawn(2).samples)
    result = evaluate(Oracle(dataset), dataset)
    assert result.images == 3
    assert result.measures["NSS"].value > 1


def test_one_image_has_no_negatives_and_one_rating_no_correlation():
    dataset = drawn(1, rated=True)
    assert not {"sAUC", "SRCC", "IG"} & set(evaluate(Oracle(dataset), dataset).measures)


def test_the_quick_form_has_the_same_values_without_intervals():
    dataset = drawn(4, rated=True)
    bias = CenterBiasPredictor(center_bias_of(dataset))
    quick = evaluate(bias, dataset, full=False).measures
    full = evaluate(bias, dataset).measures
    assert set(quick) == {"NSS", "CC", "KLDiv", "SIM"}
    assert all(quick[name].value == full[name].value for name in quick)
    assert all(measure.interval is None for measure in quick.values())


def test_the_cut_between_good_and_bad_is_the_callers():
    # Both images score between 5 and 6: the same side of 5.5's cut or not, as the caller says.
    def rated(number, score):
        distribution = np.zeros(10, np.float32)
        distribution[4:6] = 6 - score, score - 5
        image = np.full((*SIZE, 3), number, np.uint8)
        return Sample(image, "samples", f"{number}.jpg", score_distribution=distribution)

    truth = Samples(rated(1, 5.2), rated(2, 5.8))
    swapped = Oracle(Samples(rated(1, 5.8), rated(2, 5.2)))
    assert evaluate(swapped, truth, score_cut=5.5).measures["accuracy"].value == 0
    assert evaluate(swapped, truth, score_cut=5).measures["accuracy"].value == 1


def test_every_photo_moves_the_progress_bar():
    moves = []
    dataset = drawn(5)
    evaluate(Oracle(dataset), dataset, batch_size=2, on_image=lambda: moves.append(1), full=False)
    assert len(moves) == 5


def test_an_empty_set_has_no_metrics():
    result = evaluate(Oracle(Samples()), Samples())
    assert result.images == 0
    assert result.measures == {}


class Told:
    """Says of photo number i (all its pixels) what stands at i."""

    def __init__(self, *estimates):
        self.estimates = estimates

    def predict_many(self, images, batch_size):
        for image in images:
            estimates = self.estimates[int(image[0, 0, 0])]
            yield Prediction(image.shape[:2], None, None, None, None, estimates)


def told(mood, kind):
    shares = {"a": float(kind == "a"), "b": float(kind == "b")}
    return (
        AttributeEstimate("mood", mood),
        AttributeEstimate("kind", label=kind, probabilities=shares),
    )


def labelled(number, *attributes):
    image = np.full((*SIZE, 3), number, np.uint8)
    return Sample(image, "samples", f"{number}.jpg", attributes=attributes)


def test_attributes_are_measured_where_they_are_known():
    nan = float("nan")
    samples = Samples(labelled(0, 0.1, 0), labelled(1, 0.5, 1), labelled(2, 0.3, nan))
    predictor = Told(told(2, "a"), told(9, "a"), told(5, "b"))
    measures = evaluate(predictor, samples, full=False).measures
    assert measures["mood SRCC"].value == pytest.approx(1)
    assert measures["kind accuracy"].value == 0.5


def test_labels_that_the_network_knows_nothing_of_are_left_out():
    samples = Samples(*(labelled(i, float("nan"), float("nan")) for i in range(3)))
    predictor = Told(*(told(i, "a") for i in range(3)))
    assert evaluate(predictor, samples, full=False).measures == {}


def test_what_is_said_of_errors_is_held_against_the_errors():
    dataset = drawn(6, rated=True)

    class Off(Oracle):
        """Scores a photo wrongly, by more each time, and states two thirds of that."""

        def predict_many(self, images, batch_size):
            for number, found in enumerate(super().predict_many(images, batch_size), start=1):
                shifted = np.roll(found.score_distribution, 1 if found.score < 5 else -1)
                step = number / 12
                votes = (1 - step) * found.score_distribution + step * shifted
                off = abs(float(votes @ SCORES - found.score))
                yield Prediction(
                    found.image_size,
                    found.network_density,
                    float(votes @ SCORES),
                    None,
                    votes.astype(np.float32),
                    uncertainty=Uncertainty(score_error_std=off / 1.5),
                )

    found = evaluate(Off(dataset), dataset).measures
    assert found["error rank"].value == pytest.approx(1)
    assert found["error rank"].interval.low > 0.9
    assert found["in 1 std"].value == 0
    assert found["in 2 std"].value == 1
    assert "model rank" not in found


def test_where_nothing_is_said_of_errors_nothing_is_held_against_them():
    dataset = drawn(6, rated=True)
    assert not {"error rank", "in 1 std"} & set(evaluate(Oracle(dataset), dataset).measures)


def test_labels_of_attributes_that_the_weights_do_not_tell_are_left_out():
    samples = Samples(*(labelled(i, 0.5, 1.0) for i in range(3)))
    assert evaluate(Told((), (), ()), samples, full=False).measures == {}
